// gather_words — out[plane, i] = source[plane, indices[i]].
//
// in 0 indices [B]   in 1 source [planes, N]   out 2 out [planes, B]   params planes, n N, batch B

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.planes * args.batch) {
        return;
    }
    const u64 plane = k / args.batch;
    args.out[k] = args.source[plane * args.n + args.indices[k % args.batch]];
}
