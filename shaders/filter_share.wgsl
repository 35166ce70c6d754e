// filter_share — what of the filtered gradient is the step's own, as a multiple of it: 1 + lambda (1 - alpha), at the first
// step 1 + lambda (FILTER 0 ema); 1 + lambda / window, and 1 until the window is full (FILTER 1 ma).
//
// in 0 scalars (rates)   out 1 share [1]   params window   control: step
// import layout
// import wide
// import math

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let step = control[run * launch.control_stride + CONTROL_STEP];
    let rates = scalars_at(run);
    var weight = wide(1.0);
    if FILTER == 1u {
        weight = wide(0.0);
        if step + 1u >= launch.window {
            weight = wide_div(wide(1.0), wide_from_word(launch.window));
        }
    } else if step != 0u {
        weight = wide_sub(wide(1.0), scalars[rates + CONTROL_FILTER_ALPHA]);
    }
    share[share_at(run)] = wide_add(wide(1.0), wide_mul(scalars[rates + CONTROL_FILTER_LAMBDA], weight));
}
