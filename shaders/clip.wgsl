// clip — factor = min(1, clip / (|x| + 1e-6)), as PyTorch's clip_grad_norm_; 1 where clip is 0.
//
// in 0 square [1] = |x|^2   in 1 scalars (rates)   out 2 factor [1]
// import layout
// import wide
// import math

/// 1e-6
const EPS = vec2(9.99999997e-07, 2.52475725e-15);

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let clip = scalars[scalars_at(run) + CONTROL_CLIP];
    let norm = wide_sqrt(square[square_at(run)]);
    let share = wide_div(clip, wide_add(norm, EPS));
    var scale = share;
    if all(clip == vec2(0.0)) || !wide_less(share, wide(1.0)) {
        scale = wide(1.0);
    }
    factor[factor_at(run)] = scale;
}
