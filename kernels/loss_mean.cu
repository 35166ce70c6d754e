// loss_mean — out [2] = sum of losses / total, hits / total (+ out).
//
// in 0 loss [N]   in 1 hit [N]   inout 2 out [2]   params n, total
// order: every 256th sample ascending, then over the threads, in f64

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    wide loss = 0;
    wide hits = 0;
    for (u64 k = threadIdx.x; k < args.n; k += THREADS) {
        loss += wide(args.loss[k]);
        hits += wide(args.hit[k]);
    }
    loss = sum_threads(warps, loss) / wide(args.total);
    hits = sum_threads(warps, hits) / wide(args.total);
    if (threadIdx.x == 0) {
        args.out[0] = ACCUMULATE ? args.out[0] + loss : loss;
        args.out[1] = ACCUMULATE ? args.out[1] + hits : hits;
    }
}
