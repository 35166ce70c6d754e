// gather_reals — out[i, :] = source[indices[i], :].
//
// in 0 indices [B]   in 1 source [N, d]   out 2 out [B, d]   params batch B, width d

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.batch * args.width) {
        return;
    }
    args.out[k] = args.source[args.indices[k / args.width] * args.width + k % args.width];
}
