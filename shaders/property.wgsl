// property — value of a property at every sample; with GRADIENT the scaled cotangent of its logits.
// PROPERTY 0 logit of `own_class`, 1 its probability, 2 log odds of the label, z_y - ln sum over j != y of exp z_j.
//
// in 0 logits [N, V]   in 1 labels [N]   out 2 value [N]   out 3 cotangent [N, V]   out 4 exponent [N]
// params n, classes V, own_class   order: 64 running sums over classes, added in a tree; a workgroup takes one sample
// import wide
// import math
// import reduce
//
// The probability's cotangent is p_c (1 - p_c) at c and -p_c p_j elsewhere, formed from the competitors of c as in
// `loss`, so that it survives p near 0 and near 1.

const LANES = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let sample = group_index(group);
    if !due(run) || sample >= launch.n {
        return;
    }
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    var y = labels[labels_at(run) + sample];
    if PROPERTY != 2u {
        y = launch.own_class;
    }
    let own = logits[z0 + y];
    if PROPERTY == 0u {
        finish(run, sample, lane, y, own, 1.0, 0.0, 0.0, 0);
        return;
    }
    var second = -infinite();
    for (var j = lane; j < classes; j += LANES) {
        let z = logits[z0 + j];
        second = select(second, z, j != y && z > second);
    }
    second = extreme_pairs(lane, vec2(second, 0.0)).x;
    if classes == 1u {
        finish(run, sample, lane, y, select(infinite(), 1.0, PROPERTY == 1u), 0.0, 0.0, 0.0, 0);
        return;
    }
    // Relative to m2, the largest of the others: Q, which neither overflows nor vanishes.
    var q = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        if j != y {
            q += exp_exact(logits[z0 + j] - second);
        }
    }
    q = sum_pairs(lane, vec2(q, 0.0)).x;
    let gap = two_sum(own, -second);
    if PROPERTY == 2u {
        finish(run, sample, lane, y, gap.x - log_exact(q) + gap.y, 1.0, -1.0 / q, second, 0);
        return;
    }
    // p_c (1 - p_c) = exp(-|z_c - m2|) Q / S^2, S relative to the larger of z_c and m2.
    let ahead = gap.x >= 0.0;
    let behind = exp_parts(-abs(gap.x));
    let fraction = behind.fraction * (1.0 + select(gap.y, -gap.y, ahead));
    let small = scale(fraction, behind.exponent);
    let total = select(small + q, 1.0 + q * small, ahead);
    var mantissa = fraction * (q / (total * total));
    var power = behind.exponent;
    if mantissa > 0.0 && is_finite(mantissa) {
        let p = parts(mantissa);
        mantissa = p.fraction;
        power += p.exponent;
    }
    finish(run, sample, lane, y, select(small, 1.0, ahead) / total, mantissa, -mantissa / q, second, power);
}

/// The value; at y the cotangent `at_own`, elsewhere `factor` times exp(z - second), to be multiplied with 2^power.
fn finish(
    run: u32, sample: u32, lane: u32, y: u32, found: f32, at_own: f32, factor: f32, second: f32, power: i32,
) {
    if lane == 0u {
        value[value_at(run) + sample] = found;
    }
    if GRADIENT == 0u {
        return;
    }
    let classes = launch.classes;
    let z0 = logits_at(run) + sample * classes;
    let c0 = cotangent_at(run) + sample * classes;
    for (var j = lane; j < classes; j += LANES) {
        var c = at_own;
        if j != y {
            c = select(factor * exp_exact(logits[z0 + j] - second), 0.0, factor == 0.0);
        }
        cotangent[c0 + j] = c;
    }
    if lane == 0u {
        exponent[exponent_at(run) + sample] = bitcast<u32>(-power);
    }
}
