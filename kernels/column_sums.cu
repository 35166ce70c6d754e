// column_sums — out [planes, d] = sum over n of 2^-exponent[n] x(plane, n) / divisor (+ out).
//
// in 0 x, rows by stride_n and stride_t   in 1 exponent [N]   inout 2 out   params n, planes, d, stride_n, stride_t,
// divisor   order: n ascending, in f64

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.planes * args.d) {
        return;
    }
    const u64 plane = k / args.d;
    wide sum = 0;
    for (u64 sample = 0; sample < args.n; sample++) {
        const real value = args.x[sample * args.stride_n + plane * args.stride_t + k % args.d];
        sum += unscale<wide>(args.exponent[sample]) * wide(value);
    }
    const real value = real(sum / wide(args.divisor));
    args.out[k] = ACCUMULATE ? args.out[k] + value : value;
}
