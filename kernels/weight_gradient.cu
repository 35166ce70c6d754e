// weight_gradient — weight [d_in, d_out] = sum over rows r of 2^-exponent[r mod n] a_r^T b_r / divisor (+ weight), and
// the same of b alone for the bias.
//
// in 0 a [rows, d_in]   in 1 b [rows, d_out]   in 2 exponent [N]   inout 3 weight   inout 4 bias (BIAS)
// params rows, n, d_in, d_out, divisor   order: rows ascending within panels of 512, panels ascending; a block makes a
// tile of 64 x 64
// import tile

constexpr u64 PANEL = 512;

__device__ void run(const Args& args, u64 group) {
    __shared__ real left_tile[DEPTH * SIDE];
    __shared__ real right_tile[DEPTH * SIDE];
    const u64 across = (args.d_out + SIDE - 1) / SIDE;
    const u64 row0 = group / across * SIDE;
    const u64 column0 = group % across * SIDE;
    const real inverse = real(1.0 / wide(args.divisor));
    const auto scaled = [&](u64 row, u64 column) {
        return args.b[row * args.d_out + column] * (unscale<real>(args.exponent[row % args.n]) * inverse);
    };
    real sums[PART][PART] = {};
    for (u64 panel = 0; panel < args.rows; panel += PANEL) {
        const u64 end = panel + PANEL < args.rows ? panel + PANEL : args.rows;
        real part[PART][PART] = {};
        multiply(
            part, left_tile, right_tile, panel, end,
            [&](u32 i, u64 row) { return row0 + i < args.d_in ? args.a[row * args.d_in + row0 + i] : real(0); },
            [&](u32 j, u64 row) { return column0 + j < args.d_out ? scaled(row, column0 + j) : real(0); });
        UNROLL
        for (u32 k = 0; k < PART * PART; k++) {
            sums[k / PART][k % PART] += part[k / PART][k % PART];
        }
    }
    UNROLL
    for (u32 i = 0; i < PART; i++) {
        UNROLL
        for (u32 j = 0; j < PART; j++) {
            const u64 row = row0 + part_row() + i;
            const u64 column = column0 + part_column() + j;
            if (row < args.d_in && column < args.d_out) {
                real& to = args.weight[row * args.d_out + column];
                to = ACCUMULATE ? to + sums[i][j] : sums[i][j];
            }
        }
    }
    const u64 column = column0 + threadIdx.x;
    if (BIAS && row0 == 0 && threadIdx.x < SIDE && column < args.d_out) {
        real sum = real(0);
        for (u64 panel = 0; panel < args.rows; panel += PANEL) {
            const u64 end = panel + PANEL < args.rows ? panel + PANEL : args.rows;
            real part = real(0);
            for (u64 row = panel; row < end; row++) {
                part += scaled(row, column);
            }
            sum += part;
        }
        args.bias[column] = ACCUMULATE ? args.bias[column] + sum : sum;
    }
}
