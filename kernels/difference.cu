// difference — out [1] = sum over samples of (after - before) / divisor (+ out); without BEFORE of after / divisor.
//
// in 0 before [N] (BEFORE)   in 1 after [N]   inout 2 out [1]   params n, divisor
// order: every 256th sample ascending, then over the threads, in f64

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    wide sum = 0;
    for (u64 k = threadIdx.x; k < args.n; k += THREADS) {
        sum += BEFORE ? wide(args.after[k]) - wide(args.before[k]) : wide(args.after[k]);
    }
    const wide value = sum_threads(warps, sum) / wide(args.divisor);
    if (threadIdx.x == 0) {
        args.out[0] = ACCUMULATE ? args.out[0] + value : value;
    }
}
