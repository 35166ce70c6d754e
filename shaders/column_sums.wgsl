// column_sums — out [planes, d] = sum over n of 2^-exponent[n] x(plane, n) / divisor (+ out).
//
// in 0 x, rows by stride_n and stride_t   in 1 exponent [N]   inout 2 out   params n, planes, d, stride_n, stride_t,
// divisor   order: n ascending, in wide numbers; a thread makes one sum
// import wide
// import math

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let item = group_index(group) * 64u + lane;
    if !due(run) || item >= launch.planes * launch.d {
        return;
    }
    let x0 = x_at(run) + item / launch.d * launch.stride_t + item % launch.d;
    var sum = wide(0.0);
    for (var sample = 0u; sample < launch.n; sample += 1u) {
        let power = bitcast<i32>(exponent[exponent_at(run) + sample]);
        sum = wide_add(sum, wide(x[x0 + sample * launch.stride_n] * exp2i(-power)));
    }
    var value = narrow(wide_div(sum, wide_from_word(launch.divisor)));
    let place = out_at(run) + item;
    if ACCUMULATE != 0u {
        value += out[place];
    }
    out[place] = value;
}
