// scale — x = factor[region] x, region by region.
//
// inout 0 x [len]   in 1 factor [regions]   in 2 ends [regions]   params len, regions
//
// The factor is rounded to the precision of x first. Where it is 1, x keeps its bits.

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    for (u64 region = 0; region < args.regions; region++) {
        if (k < args.ends[region]) {
            args.x[k] *= real(args.factor[region]);
            return;
        }
    }
}
