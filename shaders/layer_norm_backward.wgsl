// layer_norm_backward — cotangent of the input: inverse_sd (c - mean(c) - normal mean(c normal)), c = cotangent * gain
// (+ residual).
//
// in 0 cotangent [rows, d]   in 1 normal [rows, d]   in 2 inverse_sd [rows]   in 3 gain [d]
// in 4 residual [rows, d] (RESIDUAL)   out out [rows, d]   params rows, d   order: 64 running sums over d in wide
// numbers, added in a tree; a workgroup takes one row
// import wide
// import math
// import reduce

const LANES = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let row = group_index(group);
    if !due(run) || row >= launch.rows {
        return;
    }
    let d = launch.d;
    let count = wide_from_word(d);
    let start = row * d;
    var sum = wide(0.0);
    var product = wide(0.0);
    for (var k = lane; k < d; k += LANES) {
        let c = scaled(run, start, k);
        sum = wide_add(sum, c);
        product = wide_add(product, wide_mul(c, wide(normal[normal_at(run) + start + k])));
    }
    let mean = wide_div(sum_lanes(lane, sum), count);
    let along = wide_div(sum_lanes(lane, product), count);
    let inverse = wide(inverse_sd[inverse_sd_at(run) + row]);
    for (var k = lane; k < d; k += LANES) {
        let part = wide_mul(wide(normal[normal_at(run) + start + k]), along);
        let off = wide_sub(wide_sub(scaled(run, start, k), mean), part);
        var value = narrow(wide_mul(inverse, off));
        if RESIDUAL != 0u {
            value += residual[residual_at(run) + start + k];
        }
        out[out_at(run) + start + k] = value;
    }
}

fn scaled(run: u32, start: u32, k: u32) -> vec2<f32> {
    return two_product(cotangent[cotangent_at(run) + start + k], gain[gain_at(run) + k]);
}
