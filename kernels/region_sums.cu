// region_sums — dot products of x and y within each region, by blocks of 16,384 elements.
//
// in 0 x [len]   in 1 y [len]   in 2 ends [regions]   out 3 partial [blocks, regions]   params len, regions
// order: within a block's share of a region every 256th element ascending, then over the threads, in f64

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 last = (group + 1) * BLOCK < args.len ? (group + 1) * BLOCK : args.len;
    u64 start = group * BLOCK;
    for (u64 region = 0; region < args.regions; region++) {
        u64 end = args.ends[region];
        end = end < start ? start : end > last ? last : end;
        wide sum = 0;
        for (u64 k = start + threadIdx.x; k < end; k += THREADS) {
            sum += wide(args.x[k]) * wide(args.y[k]);
        }
        sum = sum_threads(warps, sum);
        if (threadIdx.x == 0) {
            args.partial[group * args.regions + region] = sum;
        }
        start = end;
    }
}
