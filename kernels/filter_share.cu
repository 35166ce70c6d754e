// filter_share — what of the filtered gradient is the step's own, as a multiple of it: 1 + lambda (1 - alpha), at the first
// step 1 + lambda (FILTER 0 ema); 1 + lambda / window, and 1 until the window is full (FILTER 1 ma).
//
// in 0 scalars (rates)   out 1 share [1]   params window   control: step

__device__ void run(const Args& args, u64 group) {
    if (threadIdx.x != 0) {
        return;
    }
    const u64 step = args.control[CONTROL_STEP];
    wide weight = 1;
    if (FILTER == 0) {
        weight = step == 0 ? 1.0 : 1.0 - args.scalars[CONTROL_FILTER_ALPHA];
    } else {
        weight = step + 1 < args.window ? 0.0 : 1.0 / wide(args.window);
    }
    args.share[0] = 1.0 + args.scalars[CONTROL_FILTER_LAMBDA] * weight;
}
