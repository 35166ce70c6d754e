// property — value of a property at every sample; with GRADIENT the scaled cotangent of its logits.
// PROPERTY 0 logit of `own_class`, 1 its probability, 2 log odds of the label, z_y - ln sum over j != y of exp z_j.
//
// in 0 logits [N, V]   in 1 labels [N]   out 2 value [N]   out 3 cotangent [N, V]   out 4 exponent [N]
// params n, classes V, own_class   order: 32 running sums over classes, added in a tree; a warp takes one sample
//
// The probability's cotangent is p_c (1 - p_c) at c and -p_c p_j elsewhere, formed from the competitors of c as in
// `loss`, so that it survives p near 0 and near 1.
// import scaled

__device__ void run(const Args& args, u64 group) {
    const u64 lane = threadIdx.x % WARP;
    const u64 sample = group * (THREADS / WARP) + threadIdx.x / WARP;
    // The same for all lanes of a warp.
    if (sample >= args.n) {
        return;
    }
    const real* z = args.logits + sample * args.classes;
    const u64 own = PROPERTY == 2 ? args.labels[sample] : args.own_class;
    Competitors<real> all = {};
    // The cotangent: at the own class, and what exp(z_j - m2) is multiplied with elsewhere.
    real at_own = real(1);
    real factor = real(0);
    i32 power = 0;
    real value = z[own];
    if (PROPERTY != 0) {
        all = competitors(z, args.classes, own);
        if (all.sum == 0.0) {
            value = PROPERTY == 1 ? real(1) : real(infinite());
            at_own = real(0);
        } else if (PROPERTY == 2) {
            value = real(all.own - all.behind - log(all.sum));
            factor = real(-1.0 / all.sum);
        } else {
            value = real(exp(all.own) / all.partition);
            // p_c (1 - p_c) = exp(z_c - m) exp(m2 - m) Q / S^2
            const Scaled scaled = scale_to_unit(all.sum / (all.partition * all.partition), all.own + all.behind);
            at_own = real(scaled.mantissa);
            factor = real(-scaled.mantissa / all.sum);
            power = scaled.power;
        }
    }
    for (u64 j = lane; GRADIENT && j < args.classes; j += WARP) {
        // 0 rather than a product with 0, where there are no competitors to be compared with.
        const real other = factor == real(0) ? real(0) : exp(z[j] - all.second) * factor;
        args.cotangent[sample * args.classes + j] = j == own ? at_own : other;
    }
    if (lane == 0) {
        args.value[sample] = value;
        if (GRADIENT) {
            args.exponent[sample] = u32(-power);
        }
    }
}
