// margin — cotangent of the margin z_y - mean z of the label's logit: 1 - 1/V at the label, -1/V elsewhere.
//
// in 0 labels [N]   out 1 cotangent [N, V]   out 2 exponent [N], all 0   params n, classes V

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.n * args.classes) {
        return;
    }
    const u64 sample = k / args.classes;
    const real share = real(1.0 / wide(args.classes));
    args.cotangent[k] = k % args.classes == args.labels[sample] ? real(1) - share : -share;
    if (k % args.classes == 0) {
        args.exponent[sample] = 0;
    }
}
