// half_norm_change — partial [blocks] = sums of (after - before)(after + before)/2: the change of half the squared
// norm, or half the squared norm itself without BEFORE.
//
// in 0 before [len] (BEFORE)   in 1 after [len]   out 2 partial   params len
// order: 256 running sums in wide numbers within blocks of 16,384, added in a tree; a workgroup takes one block
// import layout
// import wide
// import math
// import reduce

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let block = group_index(group);
    if !due(run) || block >= launch.groups {
        return;
    }
    let end = min((block + 1u) * BLOCK, launch.len);
    var sum = wide(0.0);
    for (var k = block * BLOCK + lane; k < end; k += LANES) {
        let y = after[after_at(run) + k];
        var x = 0.0;
        if BEFORE != 0u {
            x = before[before_at(run) + k];
        }
        sum = wide_add(sum, wide_mul(two_sum(y, -x), 0.5 * two_sum(y, x)));
    }
    sum = sum_lanes(lane, sum);
    if lane == 0u {
        partial[partial_at(run) + block] = sum;
    }
}
