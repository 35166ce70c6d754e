// read_out — value of a linear read-out of every sample's logits; with GRADIENT the scaled cotangent of its logits, which
// is its row of coefficients: value[n] = sum over c of coefficients[rows[n], c] logits[n, c].
//
// in 0 logits [N, V]   in 1 rows [N]   in 2 coefficients [S, V]   out 3 value [N]   out 4 cotangent [N, V]
// out 5 exponent [N]   params n, classes V
// order: 32 running sums over classes, added in a tree, in f64; a warp takes one sample
// import scaled

__device__ void run(const Args& args, u64 group) {
    const u64 lane = threadIdx.x % WARP;
    const u64 sample = group * (THREADS / WARP) + threadIdx.x / WARP;
    // The same for all lanes of a warp.
    if (sample >= args.n) {
        return;
    }
    const real* row = args.coefficients + args.rows[sample] * args.classes;
    wide sum = 0;
    for (u64 j = lane; j < args.classes; j += WARP) {
        sum += wide(row[j]) * wide(args.logits[sample * args.classes + j]);
        if (GRADIENT) {
            args.cotangent[sample * args.classes + j] = row[j];
        }
    }
    sum = sum_warp(sum);
    const i32 exponent = GRADIENT ? scale_by(args.cotangent + sample * args.classes, args.classes) : 0;
    if (lane == 0) {
        args.value[sample] = real(sum);
        if (GRADIENT) {
            args.exponent[sample] = u32(exponent);
        }
    }
}
