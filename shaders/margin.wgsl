// margin — cotangent of the margin z_y - mean z of the label's logit: 1 - 1/V at the label, -1/V elsewhere.
//
// in 0 labels [N]   out 1 cotangent [N, V]   out 2 exponent [N], all 0   params n, classes V
// order: a thread makes an entry

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.n * launch.classes {
        return;
    }
    let sample = place / launch.classes;
    let class_of = place % launch.classes;
    let share = 1.0 / f32(launch.classes);
    let is_own = labels[labels_at(run) + sample] == class_of;
    cotangent[cotangent_at(run) + place] = select(-share, 1.0 - share, is_own);
    if class_of == 0u {
        exponent[exponent_at(run) + sample] = 0u;
    }
}
