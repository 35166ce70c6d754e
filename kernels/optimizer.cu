// optimizer — one update of the weights, its moments, and the sums from which its norms and cosines follow.
// OPTIMIZER 0 sgd, 1 momentum, 2 adam (coupled L2), 3 adamw, 4 nesterov, each as in PyTorch.
//
// inout 0 theta [P]   in 1 gradient [P]   in 2 shaped [P], with SHAPED: what the update follows in the place of the
// gradient   inout 3 moments [3, P]: m, v, previous gradient; with 1, 2 and 4 [4, P]: decay's own share of m
// in 4 scalars (rates)   in 5 spans [tensors, 2]: end, group   out 6 partial [blocks, 7]: |theta|^2 (before), |g|^2,
// |update|^2, g.g_prev, |g_prev|^2, g.m_prev, |m_prev|^2
// params len P, tensors   order: within blocks of 16,384 every 256th element ascending, then over the threads, in f64
//
// Decay and L1 (l1 times the sign of the weight) are added to the gradient, and decoupled in adamw. What of m they are
// is kept beside it, by m's own recursion with them alone.
// A weight that would overflow stays as it was, and |update|^2 is not finite: by that `control` ends the run.

constexpr u32 SUMS = 7;

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 end = (group + 1) * BLOCK < args.len ? (group + 1) * BLOCK : args.len;
    const wide* rates = args.scalars;
    const wide rate = rates[CONTROL_LR];
    const real lr = real(rate);
    const real l1 = real(rates[CONTROL_L1]);
    const real beta1 = real(rates[CONTROL_BETA1]);
    const real beta2 = real(rates[CONTROL_BETA2]);
    const real new1 = real(1.0 - rates[CONTROL_BETA1]);
    const real new2 = real(1.0 - rates[CONTROL_BETA2]);
    const real step = real(rate / rates[CONTROL_CORRECTION1]);
    const real root_correction2 = real(sqrt(rates[CONTROL_CORRECTION2]));
    const real eps = real(rates[CONTROL_EPS]);
    real* first = args.moments;
    real* second = first + args.len;
    real* previous = second + args.len;
    real* decayed = previous + args.len;
    wide sums[SUMS] = {};
    u64 tensor = 0;
    for (u64 k = group * BLOCK + threadIdx.x; k < end; k += THREADS) {
        while (args.spans[2 * tensor] <= k) {
            tensor += 1;
        }
        const wide tensor_decay = rates[CONTROL_DECAY + args.spans[2 * tensor + 1]];
        const real decay = real(tensor_decay);
        const real w = args.theta[k];
        const real g = args.gradient[k];
        const real m_before = first[k];
        const real g_before = previous[k];
        const real taken = SHAPED ? args.shaped[k] : g;
        const real towards_zero = w > real(0) ? l1 : w < real(0) ? -l1 : real(0);
        const real decaying = decay * w + towards_zero;
        real w_after;
        if (OPTIMIZER == 0) {
            w_after = w - lr * (taken + decaying);
        } else if (OPTIMIZER == 1 || OPTIMIZER == 4) {
            const real pull = taken + decaying;
            const real m = beta1 * m_before + pull;
            first[k] = m;
            decayed[k] = beta1 * decayed[k] + decaying;
            w_after = w - lr * (OPTIMIZER == 4 ? pull + beta1 * m : m);
        } else {
            const bool coupled = OPTIMIZER == 2;
            const real kept = coupled ? w : w * real(1.0 - rate * tensor_decay) - lr * towards_zero;
            const real pull = coupled ? taken + decaying : taken;
            const real m = beta1 * m_before + new1 * pull;
            const real v = beta2 * second[k] + new2 * pull * pull;
            first[k] = m;
            second[k] = v;
            if (coupled) {
                decayed[k] = beta1 * decayed[k] + new1 * decaying;
            }
            w_after = kept - step * m / (sqrt(v) / root_correction2 + eps);
        }
        args.theta[k] = is_finite(w_after) ? w_after : w;
        previous[k] = g;
        const wide change = wide(w_after) - wide(w);
        sums[0] += wide(w) * wide(w);
        sums[1] += wide(g) * wide(g);
        sums[2] += change * change;
        sums[3] += wide(g) * wide(g_before);
        sums[4] += wide(g_before) * wide(g_before);
        sums[5] += wide(g) * wide(m_before);
        sums[6] += wide(m_before) * wide(m_before);
    }
    UNROLL
    for (u32 k = 0; k < SUMS; k++) {
        const wide sum = sum_threads(warps, sums[k]);
        if (threadIdx.x == 0) {
            args.partial[group * SUMS + k] = sum;
        }
    }
}
