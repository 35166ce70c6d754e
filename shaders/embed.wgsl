// embed — looks up tokens: out row (n, t) = table[id + t * id_step] (+ position[t]); with SUM, row n sums over t.
//
// in 0 ids [T, N]   in 1 table [V, d]   in 2 position [T, d] (POSITION)   out 3 out, rows by stride_n, stride_t
// params n, t, d, stride_n, stride_t, id_step   order: t ascending; a thread makes one element of a row

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let place = group_index(group) * 256u + lane;
    let rows = select(launch.n * launch.t, launch.n, SUM != 0u);
    if !due(run) || place >= rows * launch.d {
        return;
    }
    let column = place % launch.d;
    let row = place / launch.d;
    let sample = row % launch.n;
    let first = row / launch.n;
    let last = select(first + 1u, launch.t, SUM != 0u);
    var value = 0.0;
    for (var t = first; t < last; t += 1u) {
        let id = ids[ids_at(run) + t * launch.n + sample] + t * launch.id_step;
        value += table[table_at(run) + id * launch.d + column];
        if POSITION != 0u {
            value += position[position_at(run) + t * launch.d + column];
        }
    }
    out[out_at(run) + sample * launch.stride_n + first * launch.stride_t + column] = value;
}
