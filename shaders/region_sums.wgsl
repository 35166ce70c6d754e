// region_sums — dot products of x and y within each region, by blocks of 16,384 elements.
//
// in 0 x [len]   in 1 y [len]   in 2 ends [regions]   out 3 partial [blocks, regions]   params len, regions
// order: 256 running sums in wide numbers within a block's share of a region, added in a tree; a workgroup takes one block
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
    let last = min((block + 1u) * BLOCK, launch.len);
    var start = block * BLOCK;
    for (var region = 0u; region < launch.regions; region += 1u) {
        let end = clamp(ends[ends_at(run) + region], start, last);
        var sum = wide(0.0);
        for (var k = start + lane; k < end; k += LANES) {
            sum = wide_add(sum, two_product(x[x_at(run) + k], y[y_at(run) + k]));
        }
        sum = sum_lanes(lane, sum);
        if lane == 0u {
            partial[partial_at(run) + block * launch.regions + region] = sum;
        }
        start = end;
    }
}
