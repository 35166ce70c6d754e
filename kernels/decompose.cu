// decompose — products of the property gradients with each other and with the parts of the coming update.
//
// in 0 gradients [1 + K, P]: the step's mean gradient, then one per property   in 1 shaped [3, P], with SHAPED: what the
// optimiser takes, what of it the step's gradient gives now, what that of the whole split would give now
// in 2 theta [P]   in 3 moments [3, P], with OPTIMIZER 1, 2 and 4 [4, P]   in 4 scalars (rates)   in 5 spans [tensors, 2]
// out 6 partial [blocks, K K + 4 K], with OPTIMIZER 1, 2 and 4 [blocks, K K + 5 K]   params len P, tensors,
// properties K, full (row of `gradients`, with SHAPED of `shaped`, with what the mean gradient over the whole training
// split gives)
// order: within blocks of 16,384 every 256th element ascending, then over the threads, in f64
//
// Parts of the update: selection, what the full gradient does now; noise, what the minibatch adds to it; lagged, what
// earlier gradients do through the moments and through what shaped the gradient; decay, that of weight decay and L1 now;
// decay_lagged, where decay goes through moments (OPTIMIZER 1, 2 and 4), what that of earlier steps still does. Adam's
// metric 1/(sqrt(v_t / c2) + eps) contains the step's own gradient.

/// Properties for which the parts of a weight's change are formed once.
constexpr u32 TOGETHER = 4;
/// Whether decay of earlier steps acts on through the moments.
constexpr bool REMEMBERS = OPTIMIZER == 1 || OPTIMIZER == 2 || OPTIMIZER == 4;
constexpr u32 PARTS = REMEMBERS ? UPDATE_PARTS : UPDATE_PARTS - 1;

/// The parts of one weight's change: selection, lagged, noise, decay, decay_lagged.
struct Parts {
    wide part[UPDATE_PARTS];
};

__device__ Parts changes(const Args& args, u64 k, u32 tensor_group) {
    const wide* rates = args.scalars;
    const wide lr = rates[CONTROL_LR];
    const wide beta1 = rates[CONTROL_BETA1];
    const wide beta2 = rates[CONTROL_BETA2];
    const wide l1 = rates[CONTROL_L1];
    const wide w = args.theta[k];
    // The first moment in two parts: decay's share, and what is left.
    const wide share = REMEMBERS ? wide(args.moments[3 * args.len + k]) : 0.0;
    const wide m = wide(args.moments[k]) - share;
    const wide pull = rates[CONTROL_DECAY + tensor_group] * w + (w > 0.0 ? l1 : w < 0.0 ? -l1 : 0.0);
    const real* rows = SHAPED ? args.shaped : args.gradients;
    const wide taken = rows[k];
    const wide current = rows[(SHAPED ? args.len : 0) + k];
    const wide full = rows[args.full * args.len + k];
    // What a gradient of now is multiplied with, what decays with it, and what the moments are multiplied with.
    wide now = -lr;
    wide decaying = -lr;
    wide past = 0;
    if (OPTIMIZER == 1) {
        past = now * beta1;
    } else if (OPTIMIZER == 4) {
        past = now * beta1 * beta1;
        now *= 1.0 + beta1;
        decaying = now;
    } else if (OPTIMIZER != 0) {
        const wide sum = OPTIMIZER == 2 ? taken + pull : taken;
        const wide v = beta2 * wide(args.moments[args.len + k]) + (1.0 - beta2) * sum * sum;
        const wide metric = 1.0 / (sqrt(v / rates[CONTROL_CORRECTION2]) + rates[CONTROL_EPS]);
        const wide step = -lr / rates[CONTROL_CORRECTION1] * metric;
        past = step * beta1;
        now = step * (1.0 - beta1);
        decaying = OPTIMIZER == 2 ? now : -lr;
    }
    return Parts{{now * full, past * m + now * (taken - current), now * (current - full), decaying * pull, past * share}};
}

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    const u64 first = group * BLOCK + threadIdx.x;
    const u64 end = (group + 1) * BLOCK < args.len ? (group + 1) * BLOCK : args.len;
    const u64 count = args.properties;
    wide* pairs = args.partial + group * (count * count + PARTS * count);
    wide* along = pairs + count * count;
    const auto row = [&](u64 x) { return args.gradients + (1 + x) * args.len; };
    for (u64 x = 0; x < count; x++) {
        for (u64 y = x; y < count; y++) {
            wide sum = 0;
            for (u64 k = first; k < end; k += THREADS) {
                sum += wide(row(x)[k]) * wide(row(y)[k]);
            }
            sum = sum_threads(warps, sum);
            if (threadIdx.x == 0) {
                pairs[x * count + y] = sum;
                pairs[y * count + x] = sum;
            }
        }
    }
    for (u64 x0 = 0; x0 < count; x0 += TOGETHER) {
        wide sums[TOGETHER][PARTS] = {};
        u64 tensor = 0;
        for (u64 k = first; k < end; k += THREADS) {
            while (args.spans[2 * tensor] <= k) {
                tensor += 1;
            }
            const Parts change = changes(args, k, args.spans[2 * tensor + 1]);
            UNROLL
            for (u32 x = 0; x < TOGETHER; x++) {
                if (x0 + x < count) {
                    const wide g = row(x0 + x)[k];
                    UNROLL
                    for (u32 part = 0; part < PARTS; part++) {
                        sums[x][part] += g * change.part[part];
                    }
                }
            }
        }
        UNROLL
        for (u32 x = 0; x < TOGETHER; x++) {
            if (x0 + x >= count) {
                continue;
            }
            UNROLL
            for (u32 part = 0; part < PARTS; part++) {
                const wide sum = sum_threads(warps, sums[x][part]);
                if (threadIdx.x == 0) {
                    along[(x0 + x) * PARTS + part] = sum;
                }
            }
        }
    }
}
