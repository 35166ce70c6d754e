// hold_norm — what brings the weights back to the norm that is held, region by region: factor = norm / sqrt(after) and
// excess = factor - 1, norm the step's multiple of sqrt(aim); 1 and 0 where either is zero.
//
// in 0 before [regions]   in 1 after [regions], squared norms around the update   in 2 scalars (rates)
// inout 3 aim [regions], `before` of the first step   out 4 factor   out 5 excess   params regions   control: step
// import layout
// import wide
// import math

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let region = group_index(group) * 64u + lane;
    if !due(run) || region >= launch.regions {
        return;
    }
    let place = aim_at(run) + region;
    if control[run * launch.control_stride + CONTROL_STEP] == 0u {
        aim[place] = storable(before[before_at(run) + region]);
    }
    let norm = wide_mul(scalars[scalars_at(run) + CONTROL_HOLD_FACTOR], wide_sqrt(aim[place]));
    let now = wide_sqrt(after[after_at(run) + region]);
    var ratio = wide(1.0);
    var rest = wide(0.0);
    if norm.x > 0.0 && now.x > 0.0 {
        ratio = wide_div(norm, now);
        rest = wide_div(wide_sub(norm, now), now);
    }
    factor[factor_at(run) + region] = ratio;
    excess[excess_at(run) + region] = rest;
}
