// hold_norm — what brings the weights back to the norm that is held, region by region: factor = norm / sqrt(after) and
// excess = factor - 1, norm the step's multiple of sqrt(aim); 1 and 0 where either is zero.
//
// in 0 before [regions]   in 1 after [regions], squared norms around the update   in 2 scalars (rates)
// inout 3 aim [regions], `before` of the first step   out 4 factor   out 5 excess   params regions   control: step

__device__ void run(const Args& args, u64 group) {
    const u64 region = group * THREADS + threadIdx.x;
    if (region >= args.regions) {
        return;
    }
    if (args.control[CONTROL_STEP] == 0) {
        args.aim[region] = args.before[region];
    }
    const wide norm = args.scalars[CONTROL_HOLD_FACTOR] * sqrt(args.aim[region]);
    const wide after = sqrt(args.after[region]);
    const bool holds = norm > 0.0 && after > 0.0;
    args.factor[region] = holds ? norm / after : 1.0;
    args.excess[region] = holds ? (norm - after) / after : 0.0;
}
