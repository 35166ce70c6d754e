// activation_backward — cotangent = cotangent * f'(input), in place; f as in `activation`, relu'(0) = 0.
//
// in 0 input [len]   inout 1 cotangent [len]   params len
// import math

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.len {
        return;
    }
    let x = input[input_at(run) + place];
    let target_place = cotangent_at(run) + place;
    let y = cotangent[target_place];
    if ACTIVATION == 0u {
        cotangent[target_place] = select(0.0, y, x > 0.0);
    } else if ACTIVATION == 1u {
        cotangent[target_place] = y * (normal_cdf(x) + x * exp_exact(-0.5 * x * x) * 0.398942280);
    } else {
        cotangent[target_place] = y * (x + x);
    }
}
