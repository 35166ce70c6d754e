// loss — loss and hit of every sample; with GRADIENT the cotangent of its logits, scaled by 2^exponent so that its
// largest entry lies in [1/2, 1). LOSS 0 cross-entropy without cancellation, 1 naive, 2 mean squared error, 3 StableMax.
//
// in 0 logits [N, V]   in 1 labels [N]   out 2 loss [N]   out 3 hit [N]   out 4 cotangent [N, V]   out 5 exponent [N]
// params n, classes V   order: 64 running sums over classes, added in a tree; a workgroup takes one sample
// import wide
// import math
// import reduce
//
// Without cancellation: with m2 the largest logit but the label's, q_j = exp(z_j - m2) and Q = sum of q_j over j != y,
// the cotangent is F q_j and -F Q, F = exp(m2 - m)/S. It is never formed as p_y - 1, and F's exponent goes into the
// sample's scale, so that it neither cancels nor underflows at any loss. StableMax: log1p(Q/s_y), Q the sum of s_j over
// j != y, and the label's share of the cotangent is formed from Q too.

const LANES = 64u;

/// A cotangent below the smallest f64 is zero in every precision, as it is for who computes it in f64 without scales.
const SMALLEST_POWER = -1074;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let sample = group_index(group);
    if !due(run) || sample >= launch.n {
        return;
    }
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    let y = labels[labels_at(run) + sample];
    let own = logits[z0 + y];
    // The largest logit but the label's, and whether one before the label is as large, or one behind it larger.
    var second = -infinite();
    var beaten = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        let z = logits[z0 + j];
        if j != y {
            second = select(second, z, z > second);
            beaten = select(1.0, beaten, z < own || (z == own && j > y));
        }
    }
    // The smaller of -beaten and 0 over all lanes is -1 where any was beaten.
    let extremes = extreme_pairs(lane, vec2(second, -beaten));
    second = extremes.x;
    let largest = select(second, own, own >= second);
    if lane == 0u {
        hit[hit_at(run) + sample] = select(1u, 0u, extremes.y < 0.0);
    }
    if LOSS == 0u {
        accurate(run, sample, lane, y, own, second);
    } else if LOSS == 1u {
        naive(run, sample, lane, y, own, largest);
    } else if LOSS == 2u {
        square(run, sample, lane, y);
    } else {
        stablemax(run, sample, lane, y, own);
    }
}

fn accurate(run: u32, sample: u32, lane: u32, y: u32, own: f32, second: f32) {
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    // Relative to m2: Q, which neither overflows nor vanishes.
    var q = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        if j != y {
            q += exp_exact(logits[z0 + j] - second);
        }
    }
    q = sum_pairs(lane, vec2(q, 0.0)).x;
    let ahead = own >= second;
    // m2 - m or z_y - m, whichever is not 0, exactly.
    let gap = two_sum(select(own, second, ahead), -select(second, own, ahead));
    let behind = exp_parts(gap.x);
    let small = scale(behind.fraction * (1.0 + gap.y), behind.exponent);
    if lane == 0u {
        // Where the label leads, log1p of Q exp(m2 - z_y); else m2 - z_y + log(Q + exp(z_y - m2)).
        let value = select(-gap.x + log_exact(q + small), log_1p(q * small), ahead);
        loss[loss_at(run) + sample] = select(value, 0.0, classes == 1u);
    }
    if GRADIENT == 0u {
        return;
    }
    let c0 = cotangent_at(run) + sample * classes;
    // F Q = Q/S exp(m2 - m) = mantissa * 2^power; S relative to m.
    // Where the label is far behind, the share rounds to 1; the number below keeps the exponent of the exact one.
    var share = min(q / (q + small), 0.99999994);
    var power = 0;
    if ahead {
        share = behind.fraction * (1.0 + gap.y) * (q / (1.0 + q * small));
        power = behind.exponent;
    }
    var mantissa = share;
    if is_finite(share) && share > 0.0 {
        let p = parts(share);
        mantissa = p.fraction;
        power += p.exponent;
    }
    let factor = mantissa / q;
    let is_zero = classes == 1u || power < SMALLEST_POWER;
    for (var j = lane; j < classes; j += LANES) {
        var value = -mantissa;
        if j != y {
            value = factor * exp_exact(logits[z0 + j] - second);
        }
        cotangent[c0 + j] = select(value, 0.0, is_zero);
    }
    if lane == 0u {
        exponent[exponent_at(run) + sample] = bitcast<u32>(select(-power, 0, is_zero));
    }
}

/// log_softmax as most f32 code has it: z - max - ln sum exp(z - max).
fn naive(run: u32, sample: u32, lane: u32, y: u32, own: f32, largest: f32) {
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    var sum = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        sum += exp_exact(logits[z0 + j] - largest);
    }
    let log_sum = log_exact(sum_pairs(lane, vec2(sum, 0.0)).x);
    if lane == 0u {
        loss[loss_at(run) + sample] = -(own - largest - log_sum);
    }
    if GRADIENT == 0u {
        return;
    }
    let c0 = cotangent_at(run) + sample * classes;
    for (var j = lane; j < classes; j += LANES) {
        let p = exp_exact(logits[z0 + j] - largest - log_sum);
        cotangent[c0 + j] = select(p, p - 1.0, j == y);
    }
    rescale(run, sample, lane);
}

fn square(run: u32, sample: u32, lane: u32, y: u32) {
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    var sum = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        let off = logits[z0 + j] - select(0.0, 1.0, j == y);
        sum = fma(off, off, sum);
        if GRADIENT != 0u {
            cotangent[cotangent_at(run) + sample * classes + j] = (off + off) / f32(classes);
        }
    }
    sum = sum_pairs(lane, vec2(sum, 0.0)).x;
    if lane == 0u {
        loss[loss_at(run) + sample] = sum / f32(classes);
    }
    if GRADIENT != 0u {
        rescale(run, sample, lane);
    }
}

/// s(x) = x + 1 for x >= 0, else 1/(1 - x), and its slope.
fn stable(x: f32) -> vec2<f32> {
    let s = 1.0 / (1.0 - x);
    return select(vec2(s, s * s), vec2(x + 1.0, 1.0), x >= 0.0);
}

fn stablemax(run: u32, sample: u32, lane: u32, y: u32, own_logit: f32) {
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    var others = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        if j != y {
            others += stable(logits[z0 + j]).x;
        }
    }
    others = sum_pairs(lane, vec2(others, 0.0)).x;
    let own = stable(own_logit);
    let total = own.x + others;
    if lane == 0u {
        loss[loss_at(run) + sample] = log_1p(others / own.x);
    }
    if GRADIENT == 0u {
        return;
    }
    let c0 = cotangent_at(run) + sample * classes;
    for (var j = lane; j < classes; j += LANES) {
        cotangent[c0 + j] = select(stable(logits[z0 + j]).y / total, -(own.y / own.x) * (others / total), j == y);
    }
    rescale(run, sample, lane);
}

/// Scales a cotangent by a power of two into [1/2, 1); one that is zero or not finite keeps its own. Each thread reads
/// again what it wrote itself.
fn rescale(run: u32, sample: u32, lane: u32) {
    let c0 = cotangent_at(run) + sample * launch.classes;
    var largest = 0.0;
    for (var j = lane; j < launch.classes; j += LANES) {
        let size = abs(cotangent[c0 + j]);
        largest = select(largest, size, size > largest);
    }
    largest = extreme_pairs(lane, vec2(largest, 0.0)).x;
    var power = 0;
    if largest > 0.0 && is_finite(largest) {
        power = -parts(largest).exponent;
    }
    for (var j = lane; j < launch.classes; j += LANES) {
        cotangent[c0 + j] = scale(cotangent[c0 + j], power);
    }
    if lane == 0u {
        exponent[exponent_at(run) + sample] = bitcast<u32>(power);
    }
}
