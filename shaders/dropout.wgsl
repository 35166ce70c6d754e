// dropout — x = 0 where the draw of its element falls below the step's share, else x / (1 - share).
//
// inout 0 x [len]   in 1 scalars (rates)   params len, layer   control: seed, step
// import layout
// import wide
// import math
// import random
//
// The draw of element k is word k mod 4 of Philox block [k / 4, layer, step, purpose] under the run's seed: forward and
// backward pass find the same. It is dropped if the word is below share 2^32.

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    if !due(run) || place >= launch.len {
        return;
    }
    let share = scalars[scalars_at(run) + CONTROL_DROPOUT];
    if share.x == 0.0 {
        return;
    }
    let block = run * launch.control_stride;
    let seed = vec2(control[block + CONTROL_SEED_LOW], control[block + CONTROL_SEED_HIGH]);
    let words = philox(vec4(place / 4u, launch.layer, control[block + CONTROL_STEP], PURPOSE_DROPOUT), seed);
    let is_dropped = wide_less(wide_from_word(words[place % 4u]), 4294967296.0 * share);
    let scale = narrow(wide_div(wide(1.0), wide_sub(wide(1.0), share)));
    let k = x_at(run) + place;
    x[k] = select(x[k] * scale, 0.0, is_dropped);
}
