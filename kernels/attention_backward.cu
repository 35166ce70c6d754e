// attention_backward — cotangents of q and kv from that of the attention's output.
//
// in 0 cotangent [Tq, N, d]   in 1 pattern [N, heads, Tq, T]   in 2 q [Tq, N, d]   in 3 kv [T, N, 2d]
// in 4 scalars (rates), with MIXED   out 5 dq [Tq, N, d]   out 6 dkv [T, N, 2d]   params n, t, tq, heads, d_head
// order: queries, then keys, ascending; dot products in 32 running sums, added in a tree in f64; a warp makes one head of
// one sample, and each of its lanes every 32nd column
//
// With MIXED, the weight of a value is (1 - mix) of its pattern and mix / visible, and 1 - mix of its cotangent is the
// pattern's.

/// Dot product of two rows, over the lanes of a warp.
__device__ real dot(const real* x, const real* y, u64 width) {
    real sum = real(0);
    for (u64 k = threadIdx.x % WARP; k < width; k += WARP) {
        sum = fma(x[k], y[k], sum);
    }
    return real(sum_warp(wide(sum)));
}

__device__ void run(const Args& args, u64 group) {
    const u64 lane = threadIdx.x % WARP;
    const u64 item = group * (THREADS / WARP) + threadIdx.x / WARP;
    // The same for all lanes of a warp.
    if (item >= args.n * args.heads) {
        return;
    }
    const u64 width = args.d_head;
    const u64 d = args.heads * width;
    const u64 sample = item / args.heads;
    const u64 column = item % args.heads * width;
    const u64 step = args.n * 2 * d;
    const u64 row0 = sample * 2 * d + column;
    const real* keys = args.kv + row0;
    const real* values = keys + d;
    real* dk = args.dkv + row0;
    real* dv = dk + d;
    for (u64 key = 0; key < args.t; key++) {
        for (u64 j = lane; j < width; j += WARP) {
            dk[key * step + j] = real(0);
            dv[key * step + j] = real(0);
        }
    }
    const wide mix = MIXED ? args.scalars[CONTROL_ATTENTION_MIX] : 0.0;
    const real keep = real(1.0 - mix);
    const real scale = real((1.0 - mix) / sqrt(wide(width)));
    for (u64 query = 0; query < args.tq; query++) {
        const u64 row = (query * args.n + sample) * d + column;
        const real* dz = args.cotangent + row;
        const real* q = args.q + row;
        real* dq = args.dq + row;
        const real* scores = args.pattern + (item * args.tq + query) * args.t;
        const u64 visible = args.t - args.tq + query + 1;
        const real even = real(mix / wide(visible));
        real along = real(0);
        for (u64 key = 0; key < visible; key++) {
            along = fma(dot(dz, values + key * step, width), scores[key], along);
        }
        for (u64 j = lane; j < width; j += WARP) {
            dq[j] = real(0);
        }
        for (u64 key = 0; key < visible; key++) {
            const real score = scores[key];
            // Formed a second time rather than kept: there is no room for T numbers of unknown T.
            const real weight = score * (dot(dz, values + key * step, width) - along) * scale;
            const real share = MIXED ? fma(keep, score, even) : score;
            for (u64 j = lane; j < width; j += WARP) {
                const u64 place = key * step + j;
                dv[place] = fma(share, dz[j], dv[place]);
                dk[place] = fma(weight, q[j], dk[place]);
                dq[j] = fma(weight, keys[place], dq[j]);
            }
        }
    }
}
