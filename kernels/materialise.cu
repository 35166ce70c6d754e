// materialise — per-sample gradients of a linear site: out [N, d_in (+ 1), d_out] = sum over t of a b, the bias last.
//
// in 0 a, in 1 b, rows by strides   out 2 out   params n, t, d_in, d_out, a_stride_n, a_stride_t, b_stride_n,
// b_stride_t   order: t ascending; a thread makes one element

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.n * (args.d_in + BIAS) * args.d_out) {
        return;
    }
    const u64 column = k % args.d_out;
    const u64 row = k / args.d_out % (args.d_in + BIAS);
    const u64 sample = k / args.d_out / (args.d_in + BIAS);
    real sum = real(0);
    for (u64 place = 0; place < args.t; place++) {
        const real b = args.b[sample * args.b_stride_n + place * args.b_stride_t + column];
        if (row < args.d_in) {
            sum = fma(args.a[sample * args.a_stride_n + place * args.a_stride_t + row], b, sum);
        } else {
            sum += b;
        }
    }
    args.out[k] = sum;
}
