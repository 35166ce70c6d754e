// attention — causal attention of the last Tq of T positions: pattern = softmax(q.k / sqrt(d_head)), out = pattern v.
// With MIXED, out = ((1 - mix) pattern + mix / visible) v for a query that sees so many positions.
//
// in 0 q [Tq, N, d]   in 1 kv [T, N, 2d], K then V, heads side by side   in 2 scalars (rates), with MIXED
// out 3 pattern [N, heads, Tq, T], 0 beyond the mask   out 4 out [Tq, N, d]   params n, t, tq, heads, d_head
// order: dot products and the sum of weights in 32 running sums, added in a tree in f64; outputs by positions ascending;
// a warp makes one query of one head

__device__ void run(const Args& args, u64 group) {
    const u64 lane = threadIdx.x % WARP;
    const u64 row = group * (THREADS / WARP) + threadIdx.x / WARP;
    // The same for all lanes of a warp.
    if (row >= args.n * args.heads * args.tq) {
        return;
    }
    const u64 width = args.d_head;
    const u64 d = args.heads * width;
    const u64 query = row % args.tq;
    const u64 head = row / args.tq % args.heads;
    const u64 sample = row / args.tq / args.heads;
    const u64 own = (query * args.n + sample) * d + head * width;
    const real* keys = args.kv + sample * 2 * d + head * width;
    const real* values = keys + d;
    const u64 step = args.n * 2 * d;
    real* scores = args.pattern + row * args.t;
    const u64 visible = args.t - args.tq + query + 1;
    const real scale = real(1.0 / sqrt(wide(width)));
    const wide mix = MIXED ? args.scalars[CONTROL_ATTENTION_MIX] : 0.0;
    const real keep = real(1.0 - mix);
    const real even = real(mix / wide(visible));
    // Of the scores, a lane keeps and reads every 32nd.
    wide largest = -infinite();
    for (u64 key = 0; key < visible; key++) {
        real product = real(0);
        for (u64 j = lane; j < width; j += WARP) {
            product = fma(args.q[own + j], keys[key * step + j], product);
        }
        const real score = real(sum_warp(wide(product))) * scale;
        largest = Largest::of(largest, wide(score));
        if (key % WARP == lane) {
            scores[key] = score;
        }
    }
    real sum = real(0);
    for (u64 key = lane; key < args.t; key += WARP) {
        const real weight = key < visible ? exp(scores[key] - real(largest)) : real(0);
        scores[key] = weight;
        sum += weight;
    }
    sum = real(sum_warp(wide(sum)));
    for (u64 key = lane; key < visible; key += WARP) {
        scores[key] /= sum;
    }
    for (u64 j0 = 0; j0 < width; j0 += WARP) {
        const u64 j = j0 + lane;
        real value = real(0);
        for (u64 key = 0; key < visible; key++) {
            const real mine = key % WARP == lane ? scores[key] : real(0);
            const real learnt = __shfl_sync(FULL, mine, u32(key % WARP));
            const real weight = MIXED ? fma(keep, learnt, even) : learnt;
            if (j < width) {
                value = fma(weight, values[key * step + j], value);
            }
        }
        if (j < width) {
            args.out[own + j] = value;
        }
    }
}
