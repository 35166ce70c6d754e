// layer_norm_samples — per-sample gradients of gain (sum over t of normal * cotangent) and shift (sum of cotangent).
//
// in 0 cotangent [T, N, d]   in 1 normal [T, N, d]   out 2 gain [N, d]   out 3 shift [N, d]   params n, t, d
// order: t ascending

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.n * args.d) {
        return;
    }
    real gain = real(0);
    real shift = real(0);
    for (u64 place = 0; place < args.t; place++) {
        const u64 at = place * args.n * args.d + k;
        gain += args.normal[at] * args.cotangent[at];
        shift += args.cotangent[at];
    }
    args.gain[k] = gain;
    args.shift[k] = shift;
}
