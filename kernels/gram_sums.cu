// gram_sums — the sums of `gram_forms` from the tiles of `gram_stream`, where no matrix is stored.
//
// in 0 tiles [tiles, 264]   in 1 norm [N]   in 2 exponent [N]   out 3 sums [32 + 3 N], see `plan::layout`   params n
// order: row sums by tiles ascending; other sums by every 256th tile or sample ascending, then over the threads, in f64
//
// With row sums r and total s: diag_c = K_ii - 2 r_i/n + s/n^2, |HKH|_F^2 = |K|_F^2 - 2/n |r|^2 + s^2/n^2.

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 n = args.n;
    const wide count = wide(n);
    const u64 side = (n + GRAM_TILE - 1) / GRAM_TILE;
    const auto alive_at = [&](u64 k) { return args.norm[k] > 0.0; };
    const i32 smallest = smallest_exponent(warps, args.exponent, n, alive_at);
    wide square = 0;
    wide cosine = 0;
    wide cosine2 = 0;
    wide negative = 0;
    wide least = infinite();
    for (u64 number = threadIdx.x; number < side * (side + 1) / 2; number += THREADS) {
        const wide* tile = args.tiles + number * TILE;
        square += tile[TILE_FROBENIUS2];
        cosine += tile[TILE_COSINE];
        cosine2 += tile[TILE_COSINE2];
        negative += tile[TILE_NEGATIVE];
        least = Least::of(least, tile[TILE_MIN]);
    }
    square = sum_threads(warps, square);
    cosine = sum_threads(warps, cosine);
    cosine2 = sum_threads(warps, cosine2);
    negative = sum_threads(warps, negative);
    least = search_threads<Least>(warps, least);
    // Until it is written, the centred diagonal holds the sums of rows.
    wide* own = args.sums + HEAD + RAW * n;
    wide* rows = args.sums + HEAD + CENTRED * n;
    wide alive = 0;
    wide total = 0;
    wide row_square = 0;
    wide trace = 0;
    wide own_square = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        const wide scale = alive_at(k) ? ldexp(1.0, smallest - i32(args.exponent[k])) : 0.0;
        const wide diagonal = args.norm[k] * scale * scale;
        wide row = diagonal;
        u64 number = 0;
        for (u64 i = 0; i < side; i++) {
            for (u64 j = i; j < side; j++, number++) {
                const wide* tile = args.tiles + number * TILE;
                if (i == k / GRAM_TILE) {
                    row += tile[TILE_ROWS + k % GRAM_TILE];
                }
                if (j == k / GRAM_TILE) {
                    row += tile[TILE_ROWS + GRAM_TILE + k % GRAM_TILE];
                }
            }
        }
        own[k] = diagonal;
        rows[k] = row;
        args.sums[HEAD + COSINE * n + k] = alive_at(k) ? 1.0 : 0.0;
        alive += alive_at(k) ? 1.0 : 0.0;
        total += row;
        row_square += row * row;
        trace += diagonal;
        own_square += diagonal * diagonal;
    }
    alive = sum_threads(warps, alive);
    total = sum_threads(warps, total);
    row_square = sum_threads(warps, row_square);
    trace = sum_threads(warps, trace);
    own_square = sum_threads(warps, own_square);
    wide centred_trace = 0;
    wide centred_square = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        // The same thread wrote it.
        const wide value = Largest::of(0.0, own[k] - 2.0 * rows[k] / count + total / (count * count));
        rows[k] = value;
        centred_trace += value;
        centred_square += value * value;
    }
    centred_trace = sum_threads(warps, centred_trace);
    centred_square = sum_threads(warps, centred_square);
    if (threadIdx.x != 0) {
        return;
    }
    const wide frobenius2 = 2.0 * square + own_square;
    const wide mean = total / count;
    const wide heads[3][4] = {
        {trace, frobenius2, own_square, count},
        {alive, 2.0 * cosine2 + alive, alive, alive},
        {centred_trace, frobenius2 - 2.0 / count * row_square + mean * mean, centred_square, count},
    };
    for (u32 k = 0; k < HEAD; k++) {
        args.sums[k] = 0;
    }
    for (u32 form = 0; form < 3; form++) {
        wide* head = args.sums + form * PER_FORM;
        head[TRACE] = heads[form][0];
        head[FROBENIUS2] = heads[form][1];
        head[DIAGONAL2] = heads[form][2];
        head[SAMPLES] = heads[form][3];
    }
    args.sums[COSINE_SUM] = cosine;
    args.sums[PAIRS] = alive * (alive - 1.0) / 2.0;
    args.sums[COSINE_MIN] = least;
    args.sums[NEGATIVE] = negative;
    args.sums[CONDITION] = trace / centred_trace;
}
