// layer_norm_backward — cotangent of the input: inverse_sd (c - mean(c) - normal mean(c normal)), c = cotangent * gain
// (+ residual).
//
// in 0 cotangent [rows, d]   in 1 normal [rows, d]   in 2 inverse_sd [rows]   in 3 gain [d]
// in 4 residual [rows, d] (RESIDUAL)   out out [rows, d]   params rows, d
// order: every 128th column ascending, then over the threads, in f64; a block takes one row

__device__ void run(const Args& args, u64 row) {
    __shared__ wide warps[THREADS / WARP];
    const real* cotangent = args.cotangent + row * args.d;
    const real* normal = args.normal + row * args.d;
    wide sum = 0;
    wide products = 0;
    for (u64 k = threadIdx.x; k < args.d; k += THREADS) {
        const wide c = wide(cotangent[k]) * wide(args.gain[k]);
        sum += c;
        products += c * wide(normal[k]);
    }
    const wide mean = sum_threads(warps, sum) / wide(args.d);
    const wide along = sum_threads(warps, products) / wide(args.d);
    const wide inverse = args.inverse_sd[row];
    for (u64 k = threadIdx.x; k < args.d; k += THREADS) {
        const wide c = wide(cotangent[k]) * wide(args.gain[k]);
        const real value = real(inverse * (c - mean - wide(normal[k]) * along));
        const u64 at = row * args.d + k;
        args.out[at] = RESIDUAL ? value + args.residual[at] : value;
    }
}
