// read_out — value of a linear read-out of every sample's logits; with GRADIENT the scaled cotangent of its logits, which
// is its row of coefficients: value[n] = sum over c of coefficients[rows[n], c] logits[n, c].
//
// in 0 logits [N, V]   in 1 rows [N]   in 2 coefficients [S, V]   out 3 value [N]   out 4 cotangent [N, V]
// out 5 exponent [N]   params n, classes V   order: 64 running sums over classes in wide numbers, added in a tree; a
// workgroup takes one sample
// import wide
// import math
// import reduce

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
    let k0 = coefficients_at(run) + rows[rows_at(run) + sample] * classes;
    var sum = wide(0.0);
    var largest = 0.0;
    for (var j = lane; j < classes; j += LANES) {
        let coefficient = coefficients[k0 + j];
        sum = wide_add(sum, two_product(coefficient, logits[z0 + j]));
        largest = select(largest, abs(coefficient), abs(coefficient) > largest);
    }
    sum = sum_lanes(lane, sum);
    if lane == 0u {
        value[value_at(run) + sample] = narrow(sum);
    }
    if GRADIENT == 0u {
        return;
    }
    largest = extreme_pairs(lane, vec2(largest, 0.0)).x;
    var power = 0;
    if largest > 0.0 && is_finite(largest) {
        power = -parts(largest).exponent;
    }
    let c0 = cotangent_at(run) + sample * classes;
    for (var j = lane; j < classes; j += LANES) {
        cotangent[c0 + j] = scale(coefficients[k0 + j], power);
    }
    if lane == 0u {
        exponent[exponent_at(run) + sample] = bitcast<u32>(power);
    }
}
