// activation — out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
//
// in 0 input [len]   out 1 out [len]   params len
// import math

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.len {
        return;
    }
    let x = input[input_at(run) + place];
    var y = x * x;
    if ACTIVATION == 0u {
        y = select(0.0, x, x > 0.0);
    } else if ACTIVATION == 1u {
        y = x * normal_cdf(x);
    }
    out[out_at(run) + place] = y;
}
