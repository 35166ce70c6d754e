// perpendicular — x = x - (x.theta / (|theta|^2 + 1e-30)) theta, region by region.
//
// inout 0 x [len]   in 1 theta [len]   in 2 along [regions] = x.theta   in 3 square [regions] = |theta|^2
// in 4 ends [regions]   params len, regions
// import wide
// import math

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
    let share = wide_div(along[along_at(run) + region], wide_add(square[square_at(run) + region], wide(1e-30)));
    let k = x_at(run) + place;
    x[k] = x[k] - narrow(share) * theta[theta_at(run) + place];
}
