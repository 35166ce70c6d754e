// activation_backward — cotangent = cotangent * f'(input), in place; f as in `activation`, relu'(0) = 0.
//
// in 0 input [len]   inout 1 cotangent [len]   params len

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    const real x = args.input[k];
    if (ACTIVATION == 0) {
        args.cotangent[k] = x > real(0) ? args.cotangent[k] : real(0);
    } else if (ACTIVATION == 1) {
        const wide y = x;
        const wide density = exp(-0.5 * y * y) * 0.39894228040143267794;
        args.cotangent[k] *= real(normal_cdf(y) + y * density);
    } else {
        args.cotangent[k] *= x + x;
    }
}
