// gram_stream — the tiles of `gram_tile`, none of which is stored: per tile five sums, its row sums and column sums.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 norm [N]   in 5 exponent [N]
// out 6 tiles [tiles, 264]: off-diagonal sums over the tile of K^2, cos, cos^2, the least cos, how many are negative,
// then sums of its rows and of its columns, on the common scale of `gram_forms`   params n, sites
// order: as `gram_tile` for the quarters of a tile of 128 x 128, rows of quarters ascending; a thread adds its 4 x 4
// elements, rows are added over 16 threads in a tree, columns ascending; pairs i < j only, each once
// import sites

constexpr u32 ACROSS = SIDE / PART;

__device__ void run(const Args& args, u64 group) {
    __shared__ real left_tile[DEPTH * SIDE];
    __shared__ real right_tile[DEPTH * SIDE];
    __shared__ wide warps[THREADS / WARP];
    __shared__ wide row_sums[GRAM_TILE];
    __shared__ wide column_sums[GRAM_TILE];
    __shared__ wide columns[ACROSS * SIDE];
    const Place place = upper_tile(group, (args.n + GRAM_TILE - 1) / GRAM_TILE);
    const Sources<real> from = {args.activations, args.cotangents, args.ids, args.sites, args.n, args.sites_count};
    const i32 smallest =
        smallest_exponent(warps, args.exponent, args.n, [&](u64 sample) { return args.norm[sample] > 0.0; });
    for (u32 k = threadIdx.x; k < GRAM_TILE; k += THREADS) {
        row_sums[k] = 0;
        column_sums[k] = 0;
    }
    const auto scale_of = [&](u64 k) {
        return args.norm[k] > 0.0 ? ldexp(1.0, smallest - i32(args.exponent[k])) : 0.0;
    };
    const auto inverse_of = [&](u64 k) { return args.norm[k] > 0.0 ? 1.0 / sqrt(args.norm[k]) : 0.0; };
    wide squares = 0;
    wide cosines = 0;
    wide cosine_squares = 0;
    wide negative = 0;
    wide least = infinite();
    for (u32 quarter = 0; quarter < 4; quarter++) {
        const u32 row0 = quarter / 2 * SIDE;
        const u32 column0 = quarter % 2 * SIDE;
        const u64 i0 = place.row * GRAM_TILE + row0;
        const u64 j0 = place.column * GRAM_TILE + column0;
        // The same for all threads.
        if (i0 >= args.n || j0 >= args.n || i0 > j0) {
            continue;
        }
        real sums[PART][PART];
        gram_part(sums, left_tile, right_tile, from, i0, j0);
        wide own_columns[PART] = {};
        UNROLL
        for (u32 y = 0; y < PART; y++) {
            const u64 i = i0 + part_row() + y;
            wide own_row = 0;
            UNROLL
            for (u32 x = 0; x < PART; x++) {
                const u64 j = j0 + part_column() + x;
                if (j >= args.n || i >= j) {
                    continue;
                }
                const wide value = sums[y][x];
                const wide raw = value * scale_of(i) * scale_of(j);
                const wide cosine = value * inverse_of(i) * inverse_of(j);
                own_row += raw;
                own_columns[x] += raw;
                squares += raw * raw;
                cosines += cosine;
                cosine_squares += cosine * cosine;
                negative += cosine < 0.0 ? 1.0 : 0.0;
                if (args.norm[i] > 0.0 && args.norm[j] > 0.0) {
                    least = Least::of(least, cosine);
                }
            }
            for (u32 width = ACROSS / 2; width > 0; width /= 2) {
                own_row += __shfl_xor_sync(FULL, own_row, width);
            }
            if (part_column() == 0) {
                row_sums[row0 + part_row() + y] += own_row;
            }
        }
        UNROLL
        for (u32 x = 0; x < PART; x++) {
            columns[part_row() / PART * SIDE + part_column() + x] = own_columns[x];
        }
        __syncthreads();
        if (threadIdx.x < SIDE) {
            for (u32 y = 0; y < ACROSS; y++) {
                column_sums[column0 + threadIdx.x] += columns[y * SIDE + threadIdx.x];
            }
        }
        __syncthreads();
    }
    squares = sum_threads(warps, squares);
    cosines = sum_threads(warps, cosines);
    cosine_squares = sum_threads(warps, cosine_squares);
    negative = sum_threads(warps, negative);
    least = search_threads<Least>(warps, least);
    wide* out = args.tiles + group * TILE;
    for (u32 k = threadIdx.x; k < GRAM_TILE; k += THREADS) {
        out[TILE_ROWS + k] = row_sums[k];
        out[TILE_ROWS + GRAM_TILE + k] = column_sums[k];
    }
    if (threadIdx.x == 0) {
        for (u32 k = 0; k < TILE_ROWS; k++) {
            out[k] = 0;
        }
        out[TILE_FROBENIUS2] = squares;
        out[TILE_COSINE] = cosines;
        out[TILE_COSINE2] = cosine_squares;
        out[TILE_MIN] = least;
        out[TILE_NEGATIVE] = negative;
    }
}
