// copy — out = input.
//
// in 0 input [len]   out 1 out [len]   params len

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if due(run) && place < launch.len {
        out[out_at(run) + place] = input[input_at(run) + place];
    }
}
