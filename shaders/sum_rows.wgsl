// sum_rows — out [width] = sums of the rows of partial.
//
// in 0 partial [rows, width]   out 1 out [width]   params rows, width   order: rows ascending, in wide numbers
// import wide
// import math

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let column = group_index(group) * 64u + lane;
    if !due(run) || column >= launch.width {
        return;
    }
    var sum = wide(0.0);
    for (var row = 0u; row < launch.rows; row += 1u) {
        sum = wide_add(sum, partial[partial_at(run) + row * launch.width + column]);
    }
    out[out_at(run) + column] = sum;
}
