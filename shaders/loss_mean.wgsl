// loss_mean — out [2] = sum of losses / total, hits / total (+ out).
//
// in 0 loss [N]   in 1 hit [N]   inout 2 out [2]   params n, total   order: 256 running sums in wide numbers, added in
// a tree
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
    var losses = wide(0.0);
    var hits = 0u;
    for (var sample = lane; sample < launch.n; sample += LANES) {
        losses = wide_add(losses, wide(loss[loss_at(run) + sample]));
        hits += hit[hit_at(run) + sample];
    }
    losses = sum_lanes(lane, losses);
    let all_hits = sum_lanes(lane, wide_from_word(hits));
    if lane == 0u {
        let total = wide_from_word(launch.total);
        store(out_at(run), wide_div(losses, total));
        store(out_at(run) + 1u, wide_div(all_hits, total));
    }
}

fn store(place: u32, value: vec2<f32>) {
    if ACCUMULATE != 0u {
        out[place] = wide_add(out[place], value);
    } else {
        out[place] = value;
    }
}
