// difference — out [1] = sum over samples of (after - before) / divisor (+ out); without BEFORE of after / divisor.
//
// in 0 before [N] (BEFORE)   in 1 after [N]   inout 2 out [1]   params n, divisor   order: 256 running sums in wide
// numbers, added in a tree
// import wide
// import math
// import reduce

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    var sum = wide(0.0);
    for (var sample = lane; sample < launch.n; sample += LANES) {
        var value = wide(after[after_at(run) + sample]);
        if BEFORE != 0u {
            value = two_sum(value.x, -before[before_at(run) + sample]);
        }
        sum = wide_add(sum, value);
    }
    sum = sum_lanes(lane, sum);
    if lane == 0u {
        var value = wide_div(sum, wide_from_word(launch.divisor));
        if ACCUMULATE != 0u {
            value = wide_add(value, out[out_at(run)]);
        }
        out[out_at(run)] = value;
    }
}
