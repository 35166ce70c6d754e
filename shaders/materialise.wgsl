// materialise — per-sample gradients of a linear site: out [N, d_in (+ 1), d_out] = sum over t of a b, the bias last.
//
// in 0 a, in 1 b, rows by strides   out 2 out   params n, t, d_in, d_out, a_stride_n, a_stride_t, b_stride_n,
// b_stride_t   order: t ascending; a thread makes one element

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    let rows = launch.d_in + BIAS;
    let size = rows * launch.d_out;
    if !due(run) || place >= launch.n * size {
        return;
    }
    let sample = place / size;
    let row = place % size / launch.d_out;
    let a0 = a_at(run) + sample * launch.a_stride_n + row;
    let b0 = b_at(run) + sample * launch.b_stride_n + place % launch.d_out;
    var sum = 0.0;
    for (var t = 0u; t < launch.t; t += 1u) {
        var left = 1.0;
        if row < launch.d_in {
            left = a[a0 + t * launch.a_stride_t];
        }
        sum = fma(left, b[b0 + t * launch.b_stride_t], sum);
    }
    out[out_at(run) + place] = sum;
}
