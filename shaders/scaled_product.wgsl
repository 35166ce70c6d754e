// scaled_product — the product of a matrix with rows that carry a power of two each, its rows again scaled by one:
// out[i, :] = 2^out_exponent[i] sum over j of matrix[i, j] 2^-exponent[j] x[j, :], the largest of a row in [1/2, 1).
//
// in 0 matrix [m, k]   in 1 x [k, n]   in 2 exponent [k]   out 3 out [m, n]   out 4 out_exponent [m]   params m, k, n
// order: j ascending, in wide numbers; a workgroup takes one row
// import wide
// import math
// import reduce
//
// Terms are added relative to the largest that any of them can be, so that none overflows, and only what is lost beside
// another underflows. Rows of x that are zero have no scale of their own and are left out.

const LANES = 64u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let row = group_index(group);
    if !due(run) || row >= launch.m {
        return;
    }
    let m0 = matrix_at(run) + row * launch.k;
    // Minus the power of two of the strongest term; exponents are exact in f32.
    var least = 1e9;
    for (var j = lane; j < launch.k; j += LANES) {
        let weight = abs(matrix[m0 + j]);
        if weight > 0.0 && is_finite(weight) && is_alive(run, j) {
            least = min(least, f32(bitcast<i32>(exponent[exponent_at(run) + j]) - parts(weight).exponent));
        }
    }
    let base = i32(extreme_pairs(lane, vec2(0.0, least)).y);
    let o0 = out_at(run) + row * launch.n;
    var largest = 0.0;
    for (var column = lane; column < launch.n; column += LANES) {
        var sum = wide(0.0);
        for (var j = 0u; j < launch.k; j += 1u) {
            let term = x[x_at(run) + j * launch.n + column];
            if term != 0.0 && matrix[m0 + j] != 0.0 {
                let shift = base - bitcast<i32>(exponent[exponent_at(run) + j]);
                sum = wide_add(sum, two_product(scale(matrix[m0 + j], shift), term));
            }
        }
        out[o0 + column] = narrow(sum);
        largest = select(largest, abs(sum.x), abs(sum.x) > largest);
    }
    largest = extreme_pairs(lane, vec2(largest, 0.0)).x;
    var power = 0;
    if largest > 0.0 && is_finite(largest) {
        power = -parts(largest).exponent;
    }
    for (var column = lane; column < launch.n; column += LANES) {
        out[o0 + column] = scale(out[o0 + column], power);
    }
    if lane == 0u {
        out_exponent[out_exponent_at(run) + row] = bitcast<u32>(select(base + power, 0, largest == 0.0));
    }
}

/// Whether a row of x has any number but 0.
fn is_alive(run: u32, row: u32) -> bool {
    let x0 = x_at(run) + row * launch.n;
    for (var column = 0u; column < launch.n; column += 1u) {
        if x[x0 + column] != 0.0 {
            return true;
        }
    }
    return false;
}
