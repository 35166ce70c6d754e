// layer_norm — normal = (x - mean)/sqrt(var + 1e-5) with the biased variance, out = normal * gain + shift, by rows.
//
// in 0 input [rows, d]   in 1 gain [d]   in 2 shift [d]   out 3 normal [rows, d]   out 4 inverse_sd [rows]
// out 5 out [rows, d]   params rows, d   order: 64 running sums over d in wide numbers, added in a tree; a workgroup
// takes one row
// import wide
// import math
// import reduce

const LANES = 64u;

/// 1e-5, added to the variance.
const EPS = vec2(9.99999975e-6, 2.52528617e-13);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let row = group_index(group);
    if !due(run) || row >= launch.rows {
        return;
    }
    let d = launch.d;
    let count = wide_from_word(d);
    let x0 = input_at(run) + row * d;
    var sum = wide(0.0);
    for (var k = lane; k < d; k += LANES) {
        sum = wide_add(sum, wide(input[x0 + k]));
    }
    let mean = wide_div(sum_lanes(lane, sum), count);
    var square = wide(0.0);
    for (var k = lane; k < d; k += LANES) {
        let off = wide_sub(wide(input[x0 + k]), mean);
        square = wide_add(square, wide_mul(off, off));
    }
    let variance = wide_div(sum_lanes(lane, square), count);
    let inverse = wide_div(wide(1.0), wide_sqrt(wide_add(variance, EPS)));
    if lane == 0u {
        inverse_sd[inverse_sd_at(run) + row] = narrow(inverse);
    }
    for (var k = lane; k < d; k += LANES) {
        let value = narrow(wide_mul(wide_sub(wide(input[x0 + k]), mean), inverse));
        normal[normal_at(run) + row * d + k] = value;
        out[out_at(run) + row * d + k] = fma(value, gain[gain_at(run) + k], shift[shift_at(run) + k]);
    }
}
