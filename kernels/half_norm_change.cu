// half_norm_change — partial [blocks] = sums of (after - before)(after + before)/2: the change of half the squared
// norm, or half the squared norm itself without BEFORE.
//
// in 0 before [len] (BEFORE)   in 1 after [len]   out 2 partial   params len
// order: within blocks of 16,384 every 256th element ascending, then over the threads, in f64

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 end = (group + 1) * BLOCK < args.len ? (group + 1) * BLOCK : args.len;
    wide sum = 0;
    for (u64 k = group * BLOCK + threadIdx.x; k < end; k += THREADS) {
        const wide x = BEFORE ? wide(args.before[k]) : 0.0;
        const wide y = args.after[k];
        sum += (y - x) * (y + x) * 0.5;
    }
    sum = sum_threads(warps, sum);
    if (threadIdx.x == 0) {
        args.partial[group] = sum;
    }
}
