// weight_gradient — weight [d_in, d_out] = sum over rows r of 2^-exponent[r mod n] a_r^T b_r / divisor (+ weight), and
// the same of b alone for the bias.
//
// in 0 a [rows, d_in]   in 1 b [rows, d_out]   in 2 exponent [N]   inout 3 weight   inout 4 bias (BIAS)
// params rows, n, d_in, d_out, divisor   order: rows ascending within panels of 512, panels ascending; a workgroup
// makes a tile of 32 x 32, a thread 4 x 4 of it, so that two reads of workgroup memory serve 16 multiply-adds
// import math

const SIDE = 32u;
const PANEL = 512u;

var<workgroup> a_tile: array<vec4<f32>, 256>;
var<workgroup> b_tile: array<vec4<f32>, 256>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let tile = group_index(group);
    if !due(run) || tile >= launch.groups {
        return;
    }
    let d_in = launch.d_in;
    let d_out = launch.d_out;
    let across = (d_out + SIDE - 1u) / SIDE;
    let row0 = tile / across * SIDE;
    let column0 = tile % across * SIDE;
    let y = lane / 8u;
    let x = lane % 8u;
    let inverse = 1.0 / f32(launch.divisor);
    let sums_bias = BIAS != 0u && row0 == 0u && lane < SIDE;
    var totals0 = vec4(0.0);
    var totals1 = vec4(0.0);
    var totals2 = vec4(0.0);
    var totals3 = vec4(0.0);
    var bias_total = 0.0;
    for (var panel = 0u; panel < launch.rows; panel += PANEL) {
        let end = min(panel + PANEL, launch.rows);
        var sums0 = vec4(0.0);
        var sums1 = vec4(0.0);
        var sums2 = vec4(0.0);
        var sums3 = vec4(0.0);
        var bias_sum = 0.0;
        for (var first = panel; first < end; first += SIDE) {
            for (var part = 0u; part < 16u; part += 1u) {
                let place = part * 64u + lane;
                let line = first + place / SIDE;
                let i = row0 + place % SIDE;
                let j = column0 + place % SIDE;
                var left = 0.0;
                var right = 0.0;
                if line < end {
                    if i < d_in {
                        left = a[a_at(run) + line * d_in + i];
                    }
                    if j < d_out {
                        let power = bitcast<i32>(exponent[exponent_at(run) + line % launch.n]);
                        right = b[b_at(run) + line * d_out + j] * (exp2i(-power) * inverse);
                    }
                }
                a_tile[place / 4u][place % 4u] = left;
                b_tile[place / 4u][place % 4u] = right;
            }
            workgroupBarrier();
            for (var line = 0u; line < SIDE * SIDE / 4u; line += SIDE / 4u) {
                let left = a_tile[line + y];
                let right = b_tile[line + x];
                sums0 = fma(left.xxxx, right, sums0);
                sums1 = fma(left.yyyy, right, sums1);
                sums2 = fma(left.zzzz, right, sums2);
                sums3 = fma(left.wwww, right, sums3);
                if sums_bias {
                    bias_sum += b_tile[line + lane / 4u][lane % 4u];
                }
            }
            workgroupBarrier();
        }
        totals0 += sums0;
        totals1 += sums1;
        totals2 += sums2;
        totals3 += sums3;
        bias_total += bias_sum;
    }
    let totals = array(totals0, totals1, totals2, totals3);
    for (var part = 0u; part < 16u; part += 1u) {
        let i = row0 + 4u * y + part / 4u;
        let j = column0 + 4u * x + part % 4u;
        if i < d_in && j < d_out {
            let place = weight_at(run) + i * d_out + j;
            var value = totals[part / 4u][part % 4u];
            if ACCUMULATE != 0u {
                value += weight[place];
            }
            weight[place] = value;
        }
    }
    if sums_bias && column0 + lane < d_out {
        let place = bias_at(run) + column0 + lane;
        if ACCUMULATE != 0u {
            bias_total += bias[place];
        }
        bias[place] = bias_total;
    }
}
