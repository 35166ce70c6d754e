// sample_norms — squared norm of every sample's gradient over all sites, as scaled (true value: times 2^(-2 exponent)).
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 norm [N]   params n, sites
// order: sites, then positions (t, s) with t <= s, ascending; dot products in 64 running sums, added in f64; a block takes
// one sample
// import sites

/// Dot product of two rows, over all threads.
__device__ wide dot(wide* warps, const real* x, const real* y, u64 width) {
    real sum = real(0);
    for (u64 k = threadIdx.x; k < width; k += THREADS) {
        sum = fma(x[k], y[k], sum);
    }
    return sum_threads(warps, wide(sum));
}

__device__ void run(const Args& args, u64 sample) {
    __shared__ wide warps[THREADS / WARP];
    const Sources<real> from = {args.activations, args.cotangents, args.ids, args.sites, args.n, args.sites_count};
    wide total = 0;
    for (u64 number = 0; number < from.count; number++) {
        const SiteEntry site = site_at(from.sites, number);
        for (u64 t = 0; t < site.positions; t++) {
            const u64 end = site.one_position() ? t + 1 : site.positions;
            for (u64 s = t; s < end; s++) {
                // The tokens are the same for all threads, so they skip a pair together.
                if (site.kind == EMBEDDING && from.id(site, sample, t) != from.id(site, sample, s)) {
                    continue;
                }
                wide weight = 1;
                if (site.kind <= LINEAR_BIAS) {
                    weight = dot(warps, from.activations + site.a.row(sample, t), from.activations + site.a.row(sample, s),
                                 site.d_in);
                    weight += site.kind == LINEAR_BIAS ? 1.0 : 0.0;
                }
                const wide product = dot(warps, from.cotangents + site.b.row(sample, t),
                                         from.cotangents + site.b.row(sample, s), site.d_out);
                total += (t == s ? 1.0 : 2.0) * weight * product;
            }
        }
    }
    if (threadIdx.x == 0) {
        args.norm[sample] = total;
    }
}
