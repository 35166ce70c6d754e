// activation — out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
//
// in 0 input [len]   out 1 out [len]   params len

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    const real x = args.input[k];
    if (ACTIVATION == 0) {
        // So written, NaN passes, and divergence reaches the guard.
        args.out[k] = x <= real(0) ? real(0) : x;
    } else if (ACTIVATION == 1) {
        args.out[k] = real(wide(x) * normal_cdf(x));
    } else {
        args.out[k] = x * x;
    }
}
