// gradient_filter — the Grokfast filter: taken = gradient + lambda average.
// FILTER 0 ema: average = alpha average + (1 - alpha) gradient, begun with the first gradient, as in its authors' code.
// FILTER 1 ma: mean of the last `window` gradients, oldest first, none before there are so many.
//
// in 0 gradient [P]   inout 1 memory [P], or [window, P] with the gradient of step t in row t mod window
// in 2 scalars (rates)   out 3 taken [P]   params len P, window   control: step
// import layout
// import wide
// import math

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.len {
        return;
    }
    let step = control[run * launch.control_stride + CONTROL_STEP];
    let rates = scalars_at(run);
    let lambda = narrow(scalars[rates + CONTROL_FILTER_LAMBDA]);
    let g = gradient[gradient_at(run) + place];
    let memory0 = memory_at(run) + place;
    if FILTER == 0u {
        let alpha = scalars[rates + CONTROL_FILTER_ALPHA];
        var average = g;
        if step != 0u {
            average = narrow(alpha) * memory[memory0] + narrow(wide_sub(wide(1.0), alpha)) * g;
        }
        memory[memory0] = average;
        taken[taken_at(run) + place] = g + lambda * average;
        return;
    }
    memory[memory0 + step % launch.window * launch.len] = g;
    var value = g;
    if step + 1u >= launch.window {
        var sum = 0.0;
        for (var age = 1u; age <= launch.window; age += 1u) {
            sum += memory[memory0 + (step + age) % launch.window * launch.len];
        }
        value += lambda * (sum / f32(launch.window));
    }
    taken[taken_at(run) + place] = value;
}
