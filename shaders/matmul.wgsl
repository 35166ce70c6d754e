// matmul — out [m, n] = a [m, k] b (+ bias [n]) (+ residual [m, n]) (+ out); b [k, n], or [n, k] with TRANSPOSE_B.
//
// in 0 a   in 1 b   in 2 bias (BIAS)   in 3 residual (RESIDUAL)   out out, read with ACCUMULATE   params m, k, n
// order: k ascending in each element, then what is added; a workgroup makes a tile of 64 x 64, a thread 4 x 4 of it

const SIDE = 64u;
const DEPTH = 16u;

var<workgroup> a_tile: array<f32, 1024>;
var<workgroup> b_tile: array<f32, 1024>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let tile = group_index(group);
    if !due(run) || tile >= launch.groups {
        return;
    }
    let m = launch.m;
    let k = launch.k;
    let n = launch.n;
    let a0 = a_at(run);
    let b0 = b_at(run);
    let across = (n + SIDE - 1u) / SIDE;
    let row0 = tile / across * SIDE;
    let column0 = tile % across * SIDE;
    let y = lane / 16u;
    let x = lane % 16u;
    var sums: array<vec4<f32>, 4>;
    for (var depth0 = 0u; depth0 < k; depth0 += DEPTH) {
        // Both tiles lie depth-major, so that the threads of a row read one line of b and one number of a.
        for (var part = 0u; part < 4u; part += 1u) {
            let place = part * 256u + lane;
            let row = row0 + place / DEPTH;
            let depth = depth0 + place % DEPTH;
            var value = 0.0;
            if row < m && depth < k {
                value = a[a0 + row * k + depth];
            }
            a_tile[place % DEPTH * SIDE + place / DEPTH] = value;
            value = 0.0;
            if TRANSPOSE_B != 0u {
                let column = column0 + place / DEPTH;
                if column < n && depth < k {
                    value = b[b0 + column * k + depth];
                }
                b_tile[place % DEPTH * SIDE + place / DEPTH] = value;
            } else {
                let column = column0 + place % SIDE;
                let line = depth0 + place / SIDE;
                if column < n && line < k {
                    value = b[b0 + line * n + column];
                }
                b_tile[place] = value;
            }
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth += 1u) {
            let line = depth * SIDE + x;
            let right = vec4(b_tile[line], b_tile[line + 16u], b_tile[line + 32u], b_tile[line + 48u]);
            let left = depth * SIDE + y;
            for (var i = 0u; i < 4u; i += 1u) {
                sums[i] = fma(vec4(a_tile[left + i * 16u]), right, sums[i]);
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i += 1u) {
        for (var j = 0u; j < 4u; j += 1u) {
            let row = row0 + y + i * 16u;
            let column = column0 + x + j * 16u;
            if row >= m || column >= n {
                continue;
            }
            var value = sums[i][j];
            if RESIDUAL != 0u {
                value += residual[residual_at(run) + row * n + column];
            }
            if BIAS != 0u {
                value += bias[bias_at(run) + column];
            }
            let place = out_at(run) + row * n + column;
            if ACCUMULATE != 0u {
                value += out[place];
            }
            out[place] = value;
        }
    }
}
