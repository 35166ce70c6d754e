// matmul — out [m, n] = a [m, k] b (+ bias [n]) (+ residual [m, n]) (+ out); b [k, n], or [n, k] with TRANSPOSE_B.
//
// in 0 a   in 1 b   in 2 bias (BIAS)   in 3 residual (RESIDUAL)   out out, read with ACCUMULATE   params m, k, n
// order: k ascending in each element, then what is added; a block makes a tile of 64 x 64
// import tile

__device__ void run(const Args& args, u64 group) {
    __shared__ real left_tile[DEPTH * SIDE];
    __shared__ real right_tile[DEPTH * SIDE];
    const u64 across = (args.n + SIDE - 1) / SIDE;
    const u64 row0 = group / across * SIDE;
    const u64 column0 = group % across * SIDE;
    real sums[PART][PART] = {};
    multiply(
        sums, left_tile, right_tile, 0, args.k,
        [&](u32 row, u64 k) { return row0 + row < args.m ? args.a[(row0 + row) * args.k + k] : real(0); },
        [&](u32 column, u64 k) {
            const u64 j = column0 + column;
            return j < args.n ? args.b[TRANSPOSE_B ? j * args.k + k : k * args.n + j] : real(0);
        });
    UNROLL
    for (u32 i = 0; i < PART; i++) {
        UNROLL
        for (u32 j = 0; j < PART; j++) {
            const u64 row = row0 + part_row() + i;
            const u64 column = column0 + part_column() + j;
            if (row >= args.m || column >= args.n) {
                continue;
            }
            const u64 at = row * args.n + column;
            real value = sums[i][j];
            if (BIAS) {
                value += args.bias[column];
            }
            if (RESIDUAL) {
                value += args.residual[at];
            }
            args.out[at] = ACCUMULATE ? args.out[at] + value : value;
        }
    }
}
