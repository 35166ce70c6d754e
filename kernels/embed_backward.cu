// embed_backward — table row id + t * id_step collects 2^-exponent[n] b(n, t) / divisor (+ what was there).
//
// in 0 b, rows by stride_n and stride_t   in 1 ids [T, N]   in 2 exponent [N]   inout 3 table [rows, d]
// params n, t, d, stride_n, stride_t, id_step, rows, divisor   order: t ascending, then n; a block takes 64 columns of one
// row, and all of it look for that row among the ids

__device__ void run(const Args& args, u64 group) {
    const u64 across = (args.d + THREADS - 1) / THREADS;
    const u64 row = group / across;
    const u64 column = group % across * THREADS + threadIdx.x;
    if (column >= args.d) {
        return;
    }
    const real inverse = real(1.0 / wide(args.divisor));
    real sum = real(0);
    for (u64 place = 0; place < args.t; place++) {
        for (u64 sample = 0; sample < args.n; sample++) {
            if (args.ids[place * args.n + sample] + place * args.id_step == row) {
                const real factor = unscale<real>(args.exponent[sample]) * inverse;
                sum = fma(factor, args.b[sample * args.stride_n + place * args.stride_t + column], sum);
            }
        }
    }
    real& to = args.table[row * args.d + column];
    to = ACCUMULATE ? to + sum : sum;
}
