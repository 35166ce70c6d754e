// gram_tile — Gram matrix K [N, N] of the per-sample gradients, as scaled: all sites for one tile of (i, j), tiles on
// and above the diagonal only, mirrored when stored.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 gram [N, N]   params n, sites
// order: sites, then positions (t, s), then columns, ascending; a block makes a tile of 64 x 64
// import sites

__device__ void run(const Args& args, u64 group) {
    __shared__ real left_tile[DEPTH * SIDE];
    __shared__ real right_tile[DEPTH * SIDE];
    const Place place = upper_tile(group, (args.n + SIDE - 1) / SIDE);
    const Sources<real> from = {args.activations, args.cotangents, args.ids, args.sites, args.n, args.sites_count};
    const u64 i0 = place.row * SIDE;
    const u64 j0 = place.column * SIDE;
    real sums[PART][PART];
    gram_part(sums, left_tile, right_tile, from, i0, j0);
    UNROLL
    for (u32 k = 0; k < PART * PART; k++) {
        const u64 i = i0 + part_row() + k / PART;
        const u64 j = j0 + part_column() + k % PART;
        // On the diagonal only the upper half of a tile is mirrored, so that each element is written once.
        if (i < args.n && j < args.n && i <= j) {
            args.gram[i * args.n + j] = sums[k / PART][k % PART];
            if (i < j) {
                args.gram[j * args.n + i] = sums[k / PART][k % PART];
            }
        }
    }
}
