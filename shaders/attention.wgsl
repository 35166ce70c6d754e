// attention — causal attention of the last Tq of T positions: pattern = softmax(q.k / sqrt(d_head)), out = pattern v.
// With MIXED, out = ((1 - mix) pattern + mix / visible) v for a query that sees so many positions.
//
// in 0 q [Tq, N, d]   in 1 kv [T, N, 2d], K then V, heads side by side   in 2 scalars (rates), with MIXED
// out 3 pattern [N, heads, Tq, T], 0 beyond the mask   out 4 out [Tq, N, d]   params n, t, tq, heads, d_head
// order: positions ascending; a thread makes one query
// import layout
// import wide
// import math

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let row = group_index(group) * 64u + lane;
    if !due(run) || row >= launch.n * launch.heads * launch.tq {
        return;
    }
    let n = launch.n;
    let width = launch.d_head;
    let d = launch.heads * width;
    let query = row % launch.tq;
    let head = row / launch.tq % launch.heads;
    let sample = row / launch.tq / launch.heads;
    let column = head * width;
    let q0 = q_at(run) + (query * n + sample) * d + column;
    let k0 = kv_at(run) + sample * 2u * d + column;
    let v0 = k0 + d;
    let step = n * 2u * d;
    let scores = pattern_at(run) + row * launch.t;
    let visible = launch.t - launch.tq + query + 1u;
    let inverse = 1.0 / sqrt(f32(width));
    var largest = -infinite();
    for (var key = 0u; key < visible; key += 1u) {
        var product = 0.0;
        for (var j = 0u; j < width; j += 1u) {
            product = fma(q[q0 + j], kv[k0 + key * step + j], product);
        }
        product *= inverse;
        pattern[scores + key] = product;
        largest = select(largest, product, product > largest);
    }
    var sum = 0.0;
    for (var key = 0u; key < launch.t; key += 1u) {
        var weight = 0.0;
        if key < visible {
            weight = exp_exact(pattern[scores + key] - largest);
            sum += weight;
        }
        pattern[scores + key] = weight;
    }
    for (var key = 0u; key < visible; key += 1u) {
        pattern[scores + key] /= sum;
    }
    var keep = 1.0;
    var even = 0.0;
    if MIXED != 0u {
        let mix = scalars[scalars_at(run) + CONTROL_ATTENTION_MIX];
        keep = narrow(wide_sub(wide(1.0), mix));
        even = narrow(wide_div(mix, wide(f32(visible))));
    }
    let z0 = out_at(run) + (query * n + sample) * d + column;
    for (var j = 0u; j < width; j += 1u) {
        var value = 0.0;
        for (var key = 0u; key < visible; key += 1u) {
            let weight = fma(keep, pattern[scores + key], even);
            value = fma(weight, kv[v0 + key * step + j], value);
        }
        out[z0 + j] = value;
    }
}
