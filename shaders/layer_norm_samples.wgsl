// layer_norm_samples — per-sample gradients of gain (sum over t of normal * cotangent) and shift (sum of cotangent).
//
// in 0 cotangent [T, N, d]   in 1 normal [T, N, d]   out 2 gain [N, d]   out 3 shift [N, d]   params n, t, d
// order: t ascending

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    let plane = launch.n * launch.d;
    if !due(run) || place >= plane {
        return;
    }
    var products = 0.0;
    var sums = 0.0;
    for (var t = 0u; t < launch.t; t += 1u) {
        let c = cotangent[cotangent_at(run) + t * plane + place];
        products = fma(normal[normal_at(run) + t * plane + place], c, products);
        sums += c;
    }
    gain[gain_at(run) + place] = products;
    shift[shift_at(run) + place] = sums;
}
