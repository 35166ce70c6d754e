// batch_indices — the step's minibatch: entries [tB, tB + B) of the concatenated epoch permutations.
//
// out 0 indices [B]   params batch B, n
// control: seed, step; a thread finds one entry
// import layout
// import random

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let position = group_index(group) * 64u + lane;
    if !due(run) || position >= launch.batch {
        return;
    }
    let block = run * launch.control_stride;
    let entry = long_sum(long_product(control[block + CONTROL_STEP], launch.batch), position);
    let place = long_division(entry, launch.n);
    let seed = vec2(control[block + CONTROL_SEED_LOW], control[block + CONTROL_SEED_HIGH]);
    let key = philox(vec4(place.y, place.x, 0u, PURPOSE_BATCH_ORDER), seed);
    indices[indices_at(run) + position] = feistel(place.z, launch.n, key);
}
