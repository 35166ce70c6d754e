// gram_form — from K as scaled, one matrix and its sums. FORM 0 raw, 1 centred cosine.
//
// in 0 gram [N, N]   in 1 exponent [N]   out 2 form [N, N]   out 3 sums [8 + N], see `plan::layout`   params n
// order: a warp takes every eighth row, its lanes every 32nd column, ascending; then over lanes and warps, all in f64;
// one block, since the centred form needs the means of all rows
//
// raw K_ij 2^-((e_i - e_0) + (e_j - e_0)), e_0 the smallest exponent of the gradients that are not zero;
// centred cosine C_ij - r_i/m - r_j/m + s/m^2 over the m gradients that are not zero, C their cosines with row sums r
// and total s; zero rows for the others.

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 n = args.n;
    const u64 warp = threadIdx.x / WARP;
    const u64 lane = threadIdx.x % WARP;
    const auto alive_at = [&](u64 k) { return args.gram[k * n + k] > real(0); };
    const i32 smallest = smallest_exponent(warps, args.exponent, n, alive_at);
    const auto scale_of = [&](u64 k) { return alive_at(k) ? ldexp(1.0, smallest - i32(args.exponent[k])) : 0.0; };
    const auto inverse_of = [&](u64 k) { return alive_at(k) ? 1.0 / sqrt(wide(args.gram[k * n + k])) : 0.0; };
    wide alive = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        alive += alive_at(k) ? 1.0 : 0.0;
    }
    alive = sum_threads(warps, alive);
    // Until it is written, the diagonal's place holds the means of rows.
    wide* means = args.sums + PER_FORM;
    for (u64 i = warp; i < n; i += THREADS / WARP) {
        const wide own = FORM == 0 ? scale_of(i) : inverse_of(i);
        wide sum = 0;
        for (u64 j = lane; j < n; j += WARP) {
            const u64 at = i * n + j;
            const wide other = FORM == 0 ? scale_of(j) : inverse_of(j);
            wide value = own > 0.0 && other > 0.0 ? wide(args.gram[at]) * own * other : 0.0;
            if (FORM != 0 && i == j && own > 0.0) {
                value = 1;
            }
            args.form[at] = value;
            sum += value;
        }
        sum = sum_warp(sum);
        if (lane == 0) {
            means[i] = sum / alive;
        }
    }
    __syncthreads();
    wide grand = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        grand += alive_at(k) ? means[k] : 0.0;
    }
    grand = sum_threads(warps, grand) / alive;
    wide square = 0;
    for (u64 i = warp; i < n; i += THREADS / WARP) {
        for (u64 j = lane; j < n; j += WARP) {
            const u64 at = i * n + j;
            // The same thread wrote it.
            wide value = args.form[at];
            if (FORM != 0 && alive_at(i) && alive_at(j)) {
                value += grand - means[i] - means[j];
                args.form[at] = value;
            }
            square += value * value;
        }
    }
    square = sum_threads(warps, square);
    wide trace = 0;
    wide diagonal2 = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        const wide value = Largest::of(0.0, args.form[k * n + k]);
        args.sums[PER_FORM + k] = value;
        trace += value;
        diagonal2 += value * value;
    }
    trace = sum_threads(warps, trace);
    diagonal2 = sum_threads(warps, diagonal2);
    if (threadIdx.x != 0) {
        return;
    }
    for (u32 k = 0; k < PER_FORM; k++) {
        args.sums[k] = 0;
    }
    args.sums[TRACE] = trace;
    args.sums[FROBENIUS2] = square;
    args.sums[DIAGONAL2] = diagonal2;
    args.sums[SAMPLES] = FORM == 0 ? wide(n) : alive;
    args.sums[FORM_CONDITION] = FORM == 0 ? 1.0 : alive / trace;
}
