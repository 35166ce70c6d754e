// loss — loss and hit of every sample; with GRADIENT the cotangent of its logits, scaled by 2^exponent so that its
// largest entry lies in [1/2, 1). LOSS 0 cross-entropy without cancellation, 1 naive, 2 mean squared error, 3 StableMax.
//
// in 0 logits [N, V]   in 1 labels [N]   out 2 loss [N]   out 3 hit [N]   out 4 cotangent [N, V]   out 5 exponent [N]
// params n, classes V   order: 32 running sums over classes, added in a tree (naive: 16, as PyTorch's vectorised
// log_softmax); a warp takes one sample
//
// Without cancellation: with m2 the largest logit but the label's, q_j = exp(z_j - m2) and Q = sum of q_j over j != y,
// the cotangent is F q_j and -F Q, F = exp(m2 - m)/S. It is never formed as p_y - 1, and F's exponent goes into the
// sample's scale, so that it neither cancels nor underflows at any loss. StableMax: log1p(Q/s_y), Q the sum of s_j over
// j != y, and the label's share of the cotangent is formed from Q too.
// import scaled

/// A cotangent below the smallest f64 is zero in every precision, as it is for who computes it in f64 without scales.
constexpr i32 SMALLEST_POWER = -1074;

/// Running sums of the naive loss.
constexpr u32 NAIVE_SUMS = 16;

/// One sample: its logits and label, and where its cotangent goes.
struct Sample {
    const real* z;
    u64 y;
    u64 classes;
    real* cotangent;
};

/// The loss, and the exponent of the cotangent.
struct Found {
    real loss;
    i32 exponent;
};

/// With the cotangent, if there is one, brought to its scale.
__device__ Found finished(const Sample& sample, real loss) {
    return Found{loss, GRADIENT ? scale_by(sample.cotangent, sample.classes) : 0};
}

__device__ Found accurate(const Sample& sample) {
    const Competitors<real> all = competitors(sample.z, sample.classes, sample.y);
    const wide gap = all.own - all.behind;
    // Where the label is behind by -gap, all terms count.
    const real loss = real(gap >= 0.0 ? log1p(all.sum * exp(-gap)) : log(all.partition) - gap);
    // F = exp(m2 - m)/S with S relative to m, so F Q = 2^power * mantissa.
    const Scaled scaled = scale_to_unit(all.sum / all.partition, all.behind);
    const bool is_zero = all.sum == 0.0 || scaled.power < SMALLEST_POWER;
    if (GRADIENT) {
        const real factor = real(scaled.mantissa / all.sum);
        for (u64 j = threadIdx.x % WARP; j < sample.classes; j += WARP) {
            const real value = j == sample.y ? -real(scaled.mantissa) : exp(sample.z[j] - all.second) * factor;
            sample.cotangent[j] = is_zero ? real(0) : value;
        }
    }
    return Found{loss, is_zero ? 0 : -scaled.power};
}

/// log_softmax as most f32 code has it: z - max - ln sum exp(z - max), all in the precision of the logits.
__device__ Found naive(const Sample& sample) {
    const u64 lane = threadIdx.x % WARP;
    wide found = -infinite();
    for (u64 j = lane; j < sample.classes; j += WARP) {
        found = Largest::of(found, wide(sample.z[j]));
    }
    const real largest = real(search_warp<Largest>(found));
    // Both halves of the warp make the same sums.
    real sum = real(0);
    for (u64 j = lane % NAIVE_SUMS; j < sample.classes; j += NAIVE_SUMS) {
        sum += exp(sample.z[j] - largest);
    }
    for (u32 width = NAIVE_SUMS / 2; width > 0; width /= 2) {
        sum += __shfl_xor_sync(FULL, sum, width);
    }
    const real log_sum = log(sum);
    const real loss = -(sample.z[sample.y] - largest - log_sum);
    for (u64 j = lane; GRADIENT && j < sample.classes; j += WARP) {
        const real p = exp(sample.z[j] - largest - log_sum);
        sample.cotangent[j] = j == sample.y ? p - real(1) : p;
    }
    return finished(sample, loss);
}

__device__ Found square(const Sample& sample) {
    const real count = real(sample.classes);
    real sum = real(0);
    for (u64 j = threadIdx.x % WARP; j < sample.classes; j += WARP) {
        const real off = sample.z[j] - (j == sample.y ? real(1) : real(0));
        sum += off * off;
        if (GRADIENT) {
            sample.cotangent[j] = (off + off) / count;
        }
    }
    return finished(sample, sum_warp(sum) / count);
}

/// s(x) = x + 1 for x >= 0, else 1/(1 - x), and its slope.
struct Stable {
    wide value;
    wide slope;
};

__device__ Stable stable(wide x) {
    if (x >= 0.0) {
        return Stable{x + 1.0, 1.0};
    }
    const wide s = 1.0 / (1.0 - x);
    return Stable{s, s * s};
}

__device__ Found stablemax(const Sample& sample) {
    const u64 lane = threadIdx.x % WARP;
    wide others = 0;
    for (u64 j = lane; j < sample.classes; j += WARP) {
        if (j != sample.y) {
            others += stable(wide(sample.z[j])).value;
        }
    }
    others = sum_warp(others);
    const Stable own = stable(wide(sample.z[sample.y]));
    const wide total = own.value + others;
    const real loss = real(log1p(others / own.value));
    for (u64 j = lane; GRADIENT && j < sample.classes; j += WARP) {
        const wide slope = stable(wide(sample.z[j])).slope;
        sample.cotangent[j] = real(j == sample.y ? -own.slope / own.value * (others / total) : slope / total);
    }
    return finished(sample, loss);
}

__device__ void run(const Args& args, u64 group) {
    const u64 number = group * (THREADS / WARP) + threadIdx.x / WARP;
    // The same for all lanes of a warp.
    if (number >= args.n) {
        return;
    }
    real* cotangent = GRADIENT ? args.cotangent + number * args.classes : nullptr;
    const Sample sample = {args.logits + number * args.classes, args.labels[number], args.classes, cotangent};
    const real own = sample.z[sample.y];
    bool beaten = false;
    for (u64 j = threadIdx.x % WARP; j < args.classes; j += WARP) {
        const real z = sample.z[j];
        // Of the largest logits the first counts.
        beaten = beaten || (j != sample.y && !(z < own || (z == own && j > sample.y)));
    }
    beaten = __ballot_sync(FULL, beaten) != 0;
    const Found found = LOSS == 0   ? accurate(sample)
                        : LOSS == 1 ? naive(sample)
                        : LOSS == 2 ? square(sample)
                                    : stablemax(sample);
    if (threadIdx.x % WARP == 0) {
        args.loss[number] = found.loss;
        args.hit[number] = beaten ? 0 : 1;
        if (GRADIENT) {
            args.exponent[number] = u32(found.exponent);
        }
    }
}
