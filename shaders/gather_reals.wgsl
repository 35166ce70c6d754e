// gather_reals — out[i, :] = source[indices[i], :].
//
// in 0 indices [B]   in 1 source [N, d]   out 2 out [B, d]   params batch B, width d

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.batch * launch.width {
        return;
    }
    let index = indices[indices_at(run) + place / launch.width];
    out[out_at(run) + place] = source[source_at(run) + index * launch.width + place % launch.width];
}
