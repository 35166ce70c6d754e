// embed_backward — table row id + t * id_step collects 2^-exponent[n] b(n, t) / divisor (+ what was there).
//
// in 0 b, rows by stride_n and stride_t   in 1 ids [T, N]   in 2 exponent [N]   inout 3 table [rows, d]
// params n, t, d, stride_n, stride_t, id_step, rows, divisor   order: t ascending, then n; a thread makes one element
// of the table and looks at all ids, which the threads of a row do in step
// import math

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let item = group_index(group);
    let across = (launch.d + 63u) / 64u;
    let row = item / across;
    let column = item % across * 64u + lane;
    if !due(run) || row >= launch.rows || column >= launch.d {
        return;
    }
    let inverse = 1.0 / f32(launch.divisor);
    let b0 = b_at(run) + column;
    var sum = 0.0;
    for (var t = 0u; t < launch.t; t += 1u) {
        for (var sample = 0u; sample < launch.n; sample += 1u) {
            if ids[ids_at(run) + t * launch.n + sample] + t * launch.id_step == row {
                let factor = exp2i(-bitcast<i32>(exponent[exponent_at(run) + sample])) * inverse;
                sum = fma(factor, b[b0 + sample * launch.stride_n + t * launch.stride_t], sum);
            }
        }
    }
    let place = table_at(run) + row * launch.d + column;
    if ACCUMULATE != 0u {
        sum += table[place];
    }
    table[place] = sum;
}
