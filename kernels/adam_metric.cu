// adam_metric — M = 1/(sqrt(v/(1 - beta2^t)) + eps) of every parameter, v its second moment after t updates.
//
// in 0 moments [3, P] or more rows   in 1 scalars (rates)   out 2 metric [P]   params len P   control: step, which is t
//
// Before the first update there are no moments, and all is NaN.

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    const u32 step = args.control[CONTROL_STEP];
    const wide correction = -expm1(wide(step) * log(args.scalars[CONTROL_BETA2]));
    const wide metric = 1.0 / (sqrt(wide(args.moments[args.len + k]) / correction) + args.scalars[CONTROL_EPS]);
    args.metric[k] = real(step == 0 ? not_a_number() : metric);
}
