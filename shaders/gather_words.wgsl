// gather_words — out[plane, i] = source[plane, indices[i]].
//
// in 0 indices [B]   in 1 source [planes, N]   out 2 out [planes, B]   params planes, n N, batch B

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.planes * launch.batch {
        return;
    }
    let index = indices[indices_at(run) + place % launch.batch];
    out[out_at(run) + place] = source[source_at(run) + place / launch.batch * launch.n + index];
}
