// distance — partial [blocks] of |x - y|^2, by blocks of 16,384 elements.
//
// in 0 x [len]   in 1 y [len]   out 2 partial   params len
// order: every 256th element ascending, then over the threads, in f64

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 end = (group + 1) * BLOCK < args.len ? (group + 1) * BLOCK : args.len;
    wide sum = 0;
    for (u64 k = group * BLOCK + threadIdx.x; k < end; k += THREADS) {
        const wide apart = wide(args.x[k]) - wide(args.y[k]);
        sum += apart * apart;
    }
    sum = sum_threads(warps, sum);
    if (threadIdx.x == 0) {
        args.partial[group] = sum;
    }
}
