// gradient_noise — x = x + noise normal, the draws keyed by the run's seed and the step. With RELATIVE the noise is in
// units of sqrt(mean_square / len).
//
// inout 0 x [len]   in 1 scalars (rates, mean square)   params len   control: seed, step   a thread makes two elements
// import random

__device__ void run(const Args& args, u64 group) {
    const u64 pair = group * THREADS + threadIdx.x;
    const wide unit = RELATIVE ? sqrt(args.scalars[CONTROL_MEAN_SQUARE] / wide(args.len)) : 1.0;
    const wide sd = args.scalars[CONTROL_NOISE] * unit;
    if (2 * pair >= args.len || sd == 0.0) {
        return;
    }
    const Pair draws = stream_of(args.control, PURPOSE_GRADIENT_NOISE, args.control[CONTROL_STEP]).normals(pair);
    args.x[2 * pair] += real(sd * draws.first);
    if (2 * pair + 1 < args.len) {
        args.x[2 * pair + 1] += real(sd * draws.second);
    }
}
