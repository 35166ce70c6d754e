// layer_norm — normal = (x - mean)/sqrt(var + 1e-5) with the biased variance, out = normal * gain + shift, by rows.
//
// in 0 input [rows, d]   in 1 gain [d]   in 2 shift [d]   out 3 normal [rows, d]   out 4 inverse_sd [rows]
// out 5 out [rows, d]   params rows, d
// order: every 128th column ascending, then over the threads, in f64; a block takes one row

__device__ void run(const Args& args, u64 row) {
    __shared__ wide warps[THREADS / WARP];
    const real* x = args.input + row * args.d;
    wide sum = 0;
    for (u64 k = threadIdx.x; k < args.d; k += THREADS) {
        sum += wide(x[k]);
    }
    const wide mean = sum_threads(warps, sum) / wide(args.d);
    wide squares = 0;
    for (u64 k = threadIdx.x; k < args.d; k += THREADS) {
        squares += (wide(x[k]) - mean) * (wide(x[k]) - mean);
    }
    const wide variance = sum_threads(warps, squares) / wide(args.d);
    const wide inverse = 1.0 / sqrt(variance + 1e-5);
    if (threadIdx.x == 0) {
        args.inverse_sd[row] = real(inverse);
    }
    for (u64 k = threadIdx.x; k < args.d; k += THREADS) {
        const real normal = real((wide(x[k]) - mean) * inverse);
        args.normal[row * args.d + k] = normal;
        args.out[row * args.d + k] = normal * args.gain[k] + args.shift[k];
    }
}
