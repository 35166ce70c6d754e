// gram_metric — G M G' [N, N] of the per-sample gradients G, as scaled, for a diagonal metric M: as `gram_tile`, from
// gradients whose entries are formed as they are needed, since M stands between their factors.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 offsets [sites, 2]: first
// parameter of the weight and of the bias   in 5 metric [P]   out 6 gram [N, N]   params n, sites
// order: sites, then entries of the gradient, ascending, those of an embedding by pairs of positions (t, s); a block makes
// a tile of 64 x 64
// import sites

/// An entry of a sample's gradient: of a weight row by row, its bias as a last row; of tables of positions, and of
/// gradients that are there, the cotangents themselves.
__device__ real entry_of(const Sources<real>& from, const SiteEntry& site, u64 sample, u64 entry) {
    const u64 row = entry / site.d_out;
    const u64 column = entry % site.d_out;
    if (site.one_position()) {
        return from.cotangents[site.b.row(sample, row) + column];
    }
    real sum = real(0);
    for (u64 t = 0; t < site.positions; t++) {
        const real b = from.cotangents[site.b.row(sample, t) + column];
        if (row < site.d_in) {
            sum = fma(from.activations[site.a.row(sample, t) + row], b, sum);
        } else {
            sum += b;
        }
    }
    return sum;
}

/// Only rows of tokens that both samples have meet.
__device__ real table_product(const Sources<real>& from, const SiteEntry& site, const real* metric, u64 i, u64 j) {
    real sum = real(0);
    for (u64 t = 0; t < site.positions; t++) {
        const u64 own = from.id(site, i, t);
        for (u64 s = 0; s < site.positions; s++) {
            if (from.id(site, j, s) != own) {
                continue;
            }
            const real* x = from.cotangents + site.b.row(i, t);
            const real* y = from.cotangents + site.b.row(j, s);
            for (u64 k = 0; k < site.d_out; k++) {
                sum = fma(x[k] * metric[own * site.d_out + k], y[k], sum);
            }
        }
    }
    return sum;
}

__device__ void run(const Args& args, u64 group) {
    __shared__ real left_tile[DEPTH * SIDE];
    __shared__ real right_tile[DEPTH * SIDE];
    const Place place = upper_tile(group, (args.n + SIDE - 1) / SIDE);
    const Sources<real> from = {args.activations, args.cotangents, args.ids, args.sites, args.n, args.sites_count};
    const u64 i0 = place.row * SIDE;
    const u64 j0 = place.column * SIDE;
    real sums[PART][PART] = {};
    for (u64 number = 0; number < from.count; number++) {
        const SiteEntry site = site_at(from.sites, number);
        const real* weight = args.metric + args.offsets[2 * number];
        const real* bias = args.metric + args.offsets[2 * number + 1];
        if (site.kind == EMBEDDING) {
            for (u32 k = 0; k < PART * PART; k++) {
                const u64 i = i0 + part_row() + k / PART;
                const u64 j = j0 + part_column() + k % PART;
                const real product = i < args.n && j < args.n ? table_product(from, site, weight, i, j) : real(0);
                UNROLL
                for (u32 other = 0; other < PART * PART; other++) {
                    if (other == k) {
                        sums[other / PART][other % PART] += product;
                    }
                }
            }
            continue;
        }
        const u64 weights = site.d_out * (site.one_position() ? site.positions : site.d_in);
        const u64 entries = weights + (site.kind == LINEAR_BIAS ? site.d_out : 0);
        real products[PART][PART] = {};
        multiply(
            products, left_tile, right_tile, 0, entries,
            [&](u32 row, u64 k) { return i0 + row < args.n ? entry_of(from, site, i0 + row, k) : real(0); },
            [&](u32 row, u64 k) {
                if (j0 + row >= args.n) {
                    return real(0);
                }
                return entry_of(from, site, j0 + row, k) * (k < weights ? weight[k] : bias[k - weights]);
            });
        UNROLL
        for (u32 k = 0; k < PART * PART; k++) {
            sums[k / PART][k % PART] += products[k / PART][k % PART];
        }
    }
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
