// perpendicular — x = x - (x.theta / (|theta|^2 + 1e-30)) theta, region by region.
//
// inout 0 x [len]   in 1 theta [len]   in 2 along [regions] = x.theta   in 3 square [regions] = |theta|^2
// in 4 ends [regions]   params len, regions

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    for (u64 region = 0; region < args.regions; region++) {
        if (k < args.ends[region]) {
            args.x[k] -= real(args.along[region] / (args.square[region] + 1e-30)) * args.theta[k];
            return;
        }
    }
}
