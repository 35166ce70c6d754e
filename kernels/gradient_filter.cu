// gradient_filter — the Grokfast filter: taken = gradient + lambda average.
// FILTER 0 ema: average = alpha average + (1 - alpha) gradient, begun with the first gradient, as in its authors' code.
// FILTER 1 ma: mean of the last `window` gradients, oldest first, none before there are so many.
//
// in 0 gradient [P]   inout 1 memory [P], or [window, P] with the gradient of step t in row t mod window
// in 2 scalars (rates)   out 3 taken [P]   params len P, window   control: step

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    const u64 step = args.control[CONTROL_STEP];
    const real lambda = real(args.scalars[CONTROL_FILTER_LAMBDA]);
    const real g = args.gradient[k];
    if (FILTER == 0) {
        const wide alpha = args.scalars[CONTROL_FILTER_ALPHA];
        const real average = step == 0 ? g : real(alpha) * args.memory[k] + real(1.0 - alpha) * g;
        args.memory[k] = average;
        args.taken[k] = g + lambda * average;
        return;
    }
    args.memory[step % args.window * args.len + k] = g;
    if (step + 1 < args.window) {
        args.taken[k] = g;
        return;
    }
    real sum = real(0);
    for (u64 age = 1; age <= args.window; age++) {
        sum += args.memory[(step + age) % args.window * args.len + k];
    }
    args.taken[k] = g + lambda * (sum / real(args.window));
}
