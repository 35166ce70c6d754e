// scale — x = factor[region] x, region by region.
//
// inout 0 x [len]   in 1 factor [regions]   in 2 ends [regions]   params len, regions
// import wide
// import math
//
// The factor is rounded to the precision of x first. Where it is 1, x keeps its bits.

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.len {
        return;
    }
    var region = 0u;
    while ends[ends_at(run) + region] <= place {
        region += 1u;
    }
    x[x_at(run) + place] *= narrow(factor[factor_at(run) + region]);
}
