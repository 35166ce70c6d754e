// adam_metric — M = 1/(sqrt(v/(1 - beta2^t)) + eps) of every parameter, v its second moment after t updates.
//
// in 0 moments [3, P] or more rows   in 1 scalars (rates)   out 2 metric [P]   params len P   control: step, which is t
// import layout
// import wide
// import math
//
// Before the first update there are no moments, and all is NaN. beta2^t is in wide numbers, by repeated squaring: its
// error is that of t products, which 1 less it exceeds by t (1 - beta2).

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let block = group_index(group);
    if !due(run) || block >= launch.groups {
        return;
    }
    let step = control[run * launch.control_stride + CONTROL_STEP];
    let rates = scalars_at(run);
    let correction = narrow(wide_sub(wide(1.0), power(scalars[rates + CONTROL_BETA2], step)));
    let eps = narrow(scalars[rates + CONTROL_EPS]);
    let end = min((block + 1u) * BLOCK, launch.len);
    for (var k = block * BLOCK + lane; k < end; k += LANES) {
        let second = moments[moments_at(run) + launch.len + k];
        let found = 1.0 / (sqrt(second / correction) + eps);
        metric[metric_at(run) + k] = select(found, not_a_number(), step == 0u);
    }
}

/// x^exponent
fn power(x: vec2<f32>, exponent: u32) -> vec2<f32> {
    var result = wide(1.0);
    var square = x;
    for (var rest = exponent; rest != 0u; rest >>= 1u) {
        if (rest & 1u) != 0u {
            result = wide_mul(result, square);
        }
        square = wide_mul(square, square);
    }
    return result;
}
