// scaled_product — the product of a matrix with rows that carry a power of two each, its rows again scaled by one:
// out[i, :] = 2^out_exponent[i] sum over j of matrix[i, j] 2^-exponent[j] x[j, :], the largest of a row in [1/2, 1).
//
// in 0 matrix [m, k]   in 1 x [k, n]   in 2 exponent [k]   out 3 out [m, n]   out 4 out_exponent [m]   params m, k, n
// order: j ascending, in f64; a warp makes one row, and each of its lanes every 32nd column
//
// Terms are added relative to the largest that any of them can be, so that none overflows, and only what is lost beside
// another underflows. Rows of x that are zero have no scale of their own and are left out.
// import scaled

/// Whether a row of x has any number but 0.
__device__ bool is_alive(const real* row, u64 len) {
    for (u64 k = 0; k < len; k++) {
        if (row[k] != real(0)) {
            return true;
        }
    }
    return false;
}

/// The power of two of a number that is not 0.
__device__ i32 power_of(wide x) {
    i32 power = 0;
    if (is_finite(x)) {
        frexp(x, &power);
    }
    return power;
}

__device__ void run(const Args& args, u64 group) {
    const u64 lane = threadIdx.x % WARP;
    const u64 row = group * (THREADS / WARP) + threadIdx.x / WARP;
    // The same for all lanes of a warp.
    if (row >= args.m) {
        return;
    }
    const real* weights = args.matrix + row * args.k;
    // Minus the power of two of the strongest term.
    wide least = infinite();
    for (u64 j = lane; j < args.k; j += WARP) {
        if (weights[j] != real(0) && is_alive(args.x + j * args.n, args.n)) {
            least = Least::of(least, wide(i32(args.exponent[j]) - power_of(weights[j])));
        }
    }
    least = search_warp<Least>(least);
    const i32 base = least < infinite() ? i32(least) : 0;
    real* out = args.out + row * args.n;
    bool is_zero = true;
    for (u64 column = lane; column < args.n; column += WARP) {
        wide sum = 0;
        for (u64 j = 0; j < args.k; j++) {
            const real term = args.x[j * args.n + column];
            if (weights[j] != real(0) && term != real(0)) {
                sum += ldexp(wide(weights[j]), base - i32(args.exponent[j])) * wide(term);
            }
        }
        out[column] = real(sum);
        is_zero = is_zero && out[column] == real(0);
    }
    const i32 power = scale_by(out, args.n);
    is_zero = __ballot_sync(FULL, !is_zero) == 0;
    if (lane == 0) {
        args.out_exponent[row] = is_zero ? 0 : u32(base + power);
    }
}
