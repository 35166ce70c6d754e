// matmul — out [m, n] = a [m, k] b (+ bias [n]) (+ residual [m, n]) (+ out); b [k, n], or [n, k] with TRANSPOSE_B.
//
// in 0 a   in 1 b   in 2 bias (BIAS)   in 3 residual (RESIDUAL)   out out, read with ACCUMULATE   params m, k, n
// order: k ascending in each element, then what is added; a workgroup makes a tile of 64 x 64, a thread 8 x 8 of it: two
// groups of four neighbouring rows by two of four neighbouring columns, so that four reads of workgroup memory serve 64
// multiply-adds

const SIDE = 64u;
const DEPTH = 16u;
/// Vectors of a line of a tile: one more than it has, so that lines begin in different banks.
const LINE = 17u;

var<workgroup> a_tile: array<vec4<f32>, 272>;
var<workgroup> b_tile: array<vec4<f32>, 272>;

@compute @workgroup_size(64)
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
    let y = lane / 8u;
    let x = lane % 8u;
    // Rows 4y to 4y + 3, then 32 further on; the first digit is the row's, the second that of its columns.
    var s00 = vec4(0.0);
    var s01 = vec4(0.0);
    var s10 = vec4(0.0);
    var s11 = vec4(0.0);
    var s20 = vec4(0.0);
    var s21 = vec4(0.0);
    var s30 = vec4(0.0);
    var s31 = vec4(0.0);
    var s40 = vec4(0.0);
    var s41 = vec4(0.0);
    var s50 = vec4(0.0);
    var s51 = vec4(0.0);
    var s60 = vec4(0.0);
    var s61 = vec4(0.0);
    var s70 = vec4(0.0);
    var s71 = vec4(0.0);
    for (var depth0 = 0u; depth0 < k; depth0 += DEPTH) {
        // Both tiles lie depth-major.
        for (var part = 0u; part < 16u; part += 1u) {
            let place = part * 64u + lane;
            let across_tile = place / DEPTH;
            let row = row0 + across_tile;
            let depth = depth0 + place % DEPTH;
            var value = 0.0;
            if row < m && depth < k {
                value = a[a0 + row * k + depth];
            }
            a_tile[place % DEPTH * LINE + across_tile / 4u][across_tile % 4u] = value;
            value = 0.0;
            if TRANSPOSE_B != 0u {
                let column = column0 + across_tile;
                if column < n && depth < k {
                    value = b[b0 + column * k + depth];
                }
                b_tile[place % DEPTH * LINE + across_tile / 4u][across_tile % 4u] = value;
            } else {
                let column = column0 + lane;
                let line = depth0 + part;
                if column < n && line < k {
                    value = b[b0 + line * n + column];
                }
                b_tile[part * LINE + lane / 4u][lane % 4u] = value;
            }
        }
        workgroupBarrier();
        for (var line = 0u; line < DEPTH * LINE; line += LINE) {
            let upper = a_tile[line + y];
            let lower = a_tile[line + 8u + y];
            let left = b_tile[line + x];
            let right = b_tile[line + 8u + x];
            s00 = fma(upper.xxxx, left, s00);
            s01 = fma(upper.xxxx, right, s01);
            s10 = fma(upper.yyyy, left, s10);
            s11 = fma(upper.yyyy, right, s11);
            s20 = fma(upper.zzzz, left, s20);
            s21 = fma(upper.zzzz, right, s21);
            s30 = fma(upper.wwww, left, s30);
            s31 = fma(upper.wwww, right, s31);
            s40 = fma(lower.xxxx, left, s40);
            s41 = fma(lower.xxxx, right, s41);
            s50 = fma(lower.yyyy, left, s50);
            s51 = fma(lower.yyyy, right, s51);
            s60 = fma(lower.zzzz, left, s60);
            s61 = fma(lower.zzzz, right, s61);
            s70 = fma(lower.wwww, left, s70);
            s71 = fma(lower.wwww, right, s71);
        }
        workgroupBarrier();
    }
    let sums = array(s00, s01, s10, s11, s20, s21, s30, s31, s40, s41, s50, s51, s60, s61, s70, s71);
    for (var part = 0u; part < 16u; part += 1u) {
        let row = row0 + part / 8u * 32u + 4u * y + part / 2u % 4u;
        let column = column0 + part % 2u * 32u + 4u * x;
        if row < m {
            finish(run, row, column, sums[part]);
        }
    }
}

/// Adds what is asked for to four neighbouring numbers of a row, and stores those that the row has.
fn finish(run: u32, row: u32, first: u32, sums: vec4<f32>) {
    let n = launch.n;
    for (var j = 0u; j < 4u && first + j < n; j += 1u) {
        let column = first + j;
        var value = sums[j];
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
