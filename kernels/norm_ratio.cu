// norm_ratio — factor = sqrt(before) / (sqrt(after) + 1e-30): brings a vector back to its norm, region by region.
//
// in 0 before [regions]   in 1 after [regions], both squared norms   out 2 factor [regions]   params regions

__device__ void run(const Args& args, u64 group) {
    const u64 region = group * THREADS + threadIdx.x;
    if (region >= args.regions) {
        return;
    }
    args.factor[region] = sqrt(args.before[region]) / (sqrt(args.after[region]) + 1e-30);
}
