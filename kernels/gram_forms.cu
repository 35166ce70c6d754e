// gram_forms — from K as scaled, the matrices raw, cosine and centred on a common scale, and their sums.
//
// in 0 gram [N, N]   in 1 exponent [N]   out 2 forms [3, N, N]   out 3 sums [32 + 3 N], see `plan::layout`   params n
// order: a warp takes every eighth row, its lanes every 32nd column, ascending; then over lanes and warps, all in f64;
// one block, since the centred form needs the means of all rows
//
// raw K_ij 2^-((e_i - e_0) + (e_j - e_0)), e_0 the smallest exponent of the gradients that are not zero;
// cosine K_ij/sqrt(K_ii K_jj), zero rows for zero gradients;
// centred K_ij - r_i/n - r_j/n + s/n^2 with row sums r and total s.

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 n = args.n;
    const u64 warp = threadIdx.x / WARP;
    const u64 lane = threadIdx.x % WARP;
    wide* raw = args.forms + RAW * n * n;
    wide* cosine = args.forms + COSINE * n * n;
    wide* centred = args.forms + CENTRED * n * n;
    const auto alive_at = [&](u64 k) { return args.gram[k * n + k] > real(0); };
    const i32 smallest = smallest_exponent(warps, args.exponent, n, alive_at);
    const auto scale_of = [&](u64 k) { return alive_at(k) ? ldexp(1.0, smallest - i32(args.exponent[k])) : 0.0; };
    const auto inverse_of = [&](u64 k) { return alive_at(k) ? 1.0 / sqrt(wide(args.gram[k * n + k])) : 0.0; };
    // Until the diagonals are written, the last of them holds the means of rows.
    wide* means = args.sums + HEAD + CENTRED * n;
    for (u64 i = warp; i < n; i += THREADS / WARP) {
        const wide row_scale = scale_of(i);
        wide sum = 0;
        for (u64 j = lane; j < n; j += WARP) {
            const wide value = wide(args.gram[i * n + j]) * row_scale * scale_of(j);
            raw[i * n + j] = value;
            sum += value;
        }
        sum = sum_warp(sum);
        if (lane == 0) {
            means[i] = sum / wide(n);
        }
    }
    __syncthreads();
    wide grand = 0;
    wide alive = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        grand += means[k];
        alive += alive_at(k) ? 1.0 : 0.0;
    }
    grand = sum_threads(warps, grand) / wide(n);
    alive = sum_threads(warps, alive);
    wide squares[3] = {};
    wide cosines = 0;
    wide negative = 0;
    wide least = infinite();
    for (u64 i = warp; i < n; i += THREADS / WARP) {
        const wide row_inverse = inverse_of(i);
        for (u64 j = lane; j < n; j += WARP) {
            const u64 at = i * n + j;
            const wide column_inverse = inverse_of(j);
            const bool counts = row_inverse > 0.0 && column_inverse > 0.0;
            const wide c = i == j && counts ? 1.0 : wide(args.gram[at]) * row_inverse * column_inverse;
            const wide middle = raw[at] - means[i] - means[j] + grand;
            cosine[at] = c;
            centred[at] = middle;
            squares[RAW] += raw[at] * raw[at];
            squares[COSINE] += c * c;
            squares[CENTRED] += middle * middle;
            if (j > i && counts) {
                cosines += c;
                negative += c < 0.0 ? 1.0 : 0.0;
                least = Least::of(least, c);
            }
        }
    }
    cosines = sum_threads(warps, cosines);
    negative = sum_threads(warps, negative);
    least = search_threads<Least>(warps, least);
    wide traces[3];
    wide diagonal_squares[3];
    for (u32 form = 0; form < 3; form++) {
        const wide* matrix = args.forms + form * n * n;
        wide trace = 0;
        wide diagonal_square = 0;
        squares[form] = sum_threads(warps, squares[form]);
        for (u64 k = threadIdx.x; k < n; k += THREADS) {
            const wide value = Largest::of(0.0, matrix[k * n + k]);
            args.sums[HEAD + form * n + k] = value;
            trace += value;
            diagonal_square += value * value;
        }
        traces[form] = sum_threads(warps, trace);
        diagonal_squares[form] = sum_threads(warps, diagonal_square);
    }
    if (threadIdx.x != 0) {
        return;
    }
    for (u32 k = 0; k < HEAD; k++) {
        args.sums[k] = 0;
    }
    for (u32 form = 0; form < 3; form++) {
        wide* head = args.sums + form * PER_FORM;
        head[TRACE] = traces[form];
        head[FROBENIUS2] = squares[form];
        head[DIAGONAL2] = diagonal_squares[form];
        head[SAMPLES] = form == COSINE ? alive : wide(n);
    }
    args.sums[COSINE_SUM] = cosines;
    args.sums[PAIRS] = alive * (alive - 1.0) / 2.0;
    args.sums[COSINE_MIN] = least;
    args.sums[NEGATIVE] = negative;
    args.sums[CONDITION] = traces[RAW] / traces[CENTRED];
}
