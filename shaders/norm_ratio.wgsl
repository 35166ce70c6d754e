// norm_ratio — factor = sqrt(before) / (sqrt(after) + 1e-30): brings a vector back to its norm, region by region.
//
// in 0 before [regions]   in 1 after [regions], both squared norms   out 2 factor [regions]   params regions
// import wide
// import math

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let region = group_index(group) * 64u + lane;
    if !due(run) || region >= launch.regions {
        return;
    }
    let norm = wide_add(wide_sqrt(after[after_at(run) + region]), wide(1e-30));
    factor[factor_at(run) + region] = wide_div(wide_sqrt(before[before_at(run) + region]), norm);
}
