// attention_backward — cotangents of q and kv from that of the attention's output.
//
// in 0 cotangent [Tq, N, d]   in 1 pattern [N, heads, Tq, T]   in 2 q [Tq, N, d]   in 3 kv [T, N, 2d]
// in 4 scalars (rates), with MIXED   out 5 dq [Tq, N, d]   out 6 dkv [T, N, 2d]   params n, t, tq, heads, d_head
// order: queries, then keys, ascending; a thread makes one head of one sample
// import layout
// import wide
// import math
//
// With MIXED, the weight of a value is (1 - mix) of its pattern and mix / visible, and 1 - mix of its cotangent is the
// pattern's.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let item = group_index(group) * 64u + lane;
    if !due(run) || item >= launch.n * launch.heads {
        return;
    }
    let n = launch.n;
    let t = launch.t;
    let width = launch.d_head;
    let d = launch.heads * width;
    let sample = item / launch.heads;
    let column = item % launch.heads * width;
    let step = n * 2u * d;
    let row0 = sample * 2u * d + column;
    let k0 = kv_at(run) + row0;
    let v0 = k0 + d;
    let dk0 = dkv_at(run) + row0;
    let dv0 = dk0 + d;
    for (var key = 0u; key < t; key += 1u) {
        for (var j = 0u; j < width; j += 1u) {
            dkv[dk0 + key * step + j] = 0.0;
            dkv[dv0 + key * step + j] = 0.0;
        }
    }
    var mix = wide(0.0);
    if MIXED != 0u {
        mix = scalars[scalars_at(run) + CONTROL_ATTENTION_MIX];
    }
    let keep = narrow(wide_sub(wide(1.0), mix));
    let inverse = keep / sqrt(f32(width));
    for (var query = 0u; query < launch.tq; query += 1u) {
        let row = (query * n + sample) * d + column;
        let dz = cotangent_at(run) + row;
        let q0 = q_at(run) + row;
        let dq0 = dq_at(run) + row;
        let scores = pattern_at(run) + (item * launch.tq + query) * t;
        let visible = t - launch.tq + query + 1u;
        let even = narrow(wide_div(mix, wide(f32(visible))));
        var along = 0.0;
        for (var key = 0u; key < visible; key += 1u) {
            along = fma(weight_of(dz, v0 + key * step, width), pattern[scores + key], along);
        }
        for (var j = 0u; j < width; j += 1u) {
            dq[dq0 + j] = 0.0;
        }
        for (var key = 0u; key < visible; key += 1u) {
            let score = pattern[scores + key];
            // Formed a second time rather than kept: there is no room for T numbers of unknown T.
            let weight = score * (weight_of(dz, v0 + key * step, width) - along) * inverse;
            for (var j = 0u; j < width; j += 1u) {
                let place = key * step + j;
                dkv[dv0 + place] = fma(fma(keep, score, even), cotangent[dz + j], dkv[dv0 + place]);
                dkv[dk0 + place] = fma(weight, q[q0 + j], dkv[dk0 + place]);
                dq[dq0 + j] = fma(weight, kv[k0 + place], dq[dq0 + j]);
            }
        }
    }
}

/// Cotangent of a weight of the pattern: dz . v.
fn weight_of(dz: u32, v: u32, width: u32) -> f32 {
    var product = 0.0;
    for (var j = 0u; j < width; j += 1u) {
        product = fma(cotangent[dz + j], kv[v + j], product);
    }
    return product;
}
