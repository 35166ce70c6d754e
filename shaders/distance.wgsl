// distance — partial [blocks] of |x - y|^2, by blocks of 16,384 elements.
//
// in 0 x [len]   in 1 y [len]   out 2 partial   params len   order: 256 running sums in wide numbers, added in a tree;
// a workgroup takes one block
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
        let difference = two_sum(x[x_at(run) + k], -y[y_at(run) + k]);
        sum = wide_add(sum, wide_mul(difference, difference));
    }
    sum = sum_lanes(lane, sum);
    if lane == 0u {
        partial[partial_at(run) + block] = sum;
    }
}
