// spectrum — eigenvalues of symmetric matrices, ascending; NaN for a matrix that is not finite.
//
// inout 0 forms [matrices, N, N], used up   out 1 eigenvalues [matrices, N]   params matrices, n
// order: a workgroup takes one matrix, in f32: Householder's reduction to a tridiagonal, where a thread makes a column,
// sums over rows ascending, norms in 256 running sums added in a tree; then bisection by Sturm's count, an eigenvalue a
// thread
// import math
// import reduce
// import wide
//
// The matrix is scaled by a power of two, so that its largest entry lies in [1/2, 1). At step k the reflector
// I - v v^T / beta that clears column k below its second entry stands in that column, p = A v / beta in row k: both are
// done with. The subdiagonal goes to the low halves, which f32 does not need.

const LANES = 256u;

/// Halvings of the interval: each gives a bit, and f32 has 24 of them.
const HALVINGS = 32u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let matrix = group_index(group);
    if !due(run) || matrix >= launch.groups {
        return;
    }
    let n = launch.n;
    let a0 = forms_at(run) + matrix * n * n;
    let found0 = eigenvalues_at(run) + matrix * n;
    let power = prepare(a0, lane);
    if power > 1000 {
        for (var k = lane; k < n; k += LANES) {
            eigenvalues[found0 + k] = wide(not_a_number());
        }
        return;
    }
    for (var k = 0u; k + 2u < n; k += 1u) {
        reflect(a0, k, lane);
    }
    // Every eigenvalue lies within Gershgorin's circles.
    var reach = 0.0;
    for (var k = lane; k < n; k += LANES) {
        reach = max(reach, abs(diagonal(a0, k)) + abs(beside(a0, k)) + abs(beside(a0, k + 1u)));
    }
    reach = extreme_pairs(lane, vec2(reach, 0.0)).x;
    for (var k = lane; k < n; k += LANES) {
        let value = bisect(a0, k, reach);
        eigenvalues[found0 + k] = wide(scale(value, power));
    }
}

/// Scales the matrix; returns the power of two to multiply eigenvalues with, more than 1000 if it is not finite.
fn prepare(a0: u32, lane: u32) -> i32 {
    let len = launch.n * launch.n;
    var largest = 0.0;
    var broken = 0.0;
    for (var k = lane; k < len; k += LANES) {
        let x = abs(forms[a0 + k].x);
        largest = select(largest, x, x > largest);
        broken = select(broken, -1.0, !is_finite(x));
    }
    let extremes = extreme_pairs(lane, vec2(largest, broken));
    if extremes.y < 0.0 {
        return 2000;
    }
    if extremes.x == 0.0 {
        return 0;
    }
    let power = parts(extremes.x).exponent;
    for (var k = lane; k < len; k += LANES) {
        let x = forms[a0 + k];
        forms[a0 + k].x = scale(x.x, -power);
    }
    storageBarrier();
    return power;
}

/// One step of the reduction: clears column k below its second entry, and applies the reflector to what is right of it.
fn reflect(a0: u32, k: u32, lane: u32) {
    let n = launch.n;
    let first = k + 1u;
    let head = forms[a0 + first * n + k].x;
    var square = wide(0.0);
    for (var i = first + 1u + lane; i < n; i += LANES) {
        let x = forms[a0 + i * n + k].x;
        square = wide_add(square, two_product(x, x));
    }
    let tail = sum_lanes(lane, square);
    let norm = narrow(wide_sqrt(wide_add(tail, two_product(head, head))));
    // v = x - alpha e_1 with alpha = -sign(x_1) |x|, and beta = v.v / 2 = |x| (|x| + |x_1|).
    let alpha = select(-norm, norm, head < 0.0);
    let beta = norm * (norm + abs(head));
    storageBarrier();
    if tail.x == 0.0 {
        // Nothing to clear: the entry itself is the subdiagonal.
        if lane == 0u {
            forms[a0 + first * n + k].y = head;
        }
        return;
    }
    if lane == 0u {
        forms[a0 + first * n + k] = vec2(head - alpha, alpha);
    }
    storageBarrier();
    // p = A v / beta, and v.p
    var along = 0.0;
    for (var j = first + lane; j < n; j += LANES) {
        var sum = 0.0;
        for (var i = first; i < n; i += 1u) {
            sum = fma(forms[a0 + i * n + j].x, forms[a0 + i * n + k].x, sum);
        }
        let p = sum / beta;
        forms[a0 + k * n + j].x = p;
        along = fma(p, forms[a0 + j * n + k].x, along);
    }
    let half = sum_pairs(lane, vec2(along, 0.0)).x / (beta + beta);
    storageBarrier();
    // A - v w^T - w v^T with w = p - v (v.p) / (2 beta)
    for (var j = first + lane; j < n; j += LANES) {
        let v_j = forms[a0 + j * n + k].x;
        let w_j = fma(-half, v_j, forms[a0 + k * n + j].x);
        for (var i = first; i < n; i += 1u) {
            let v_i = forms[a0 + i * n + k].x;
            let w_i = fma(-half, v_i, forms[a0 + k * n + i].x);
            let place = a0 + i * n + j;
            forms[place].x = forms[place].x - fma(v_i, w_j, w_i * v_j);
        }
    }
    storageBarrier();
}

fn diagonal(a0: u32, k: u32) -> f32 {
    return forms[a0 + k * (launch.n + 1u)].x;
}

/// The subdiagonal entry left of row k; 0 at both ends. The last step leaves it where it was; those before keep it in the
/// low half, since the high one holds a reflector.
fn beside(a0: u32, k: u32) -> f32 {
    let n = launch.n;
    if k == 0u || k >= n {
        return 0.0;
    }
    let entry = forms[a0 + k * n + k - 1u];
    return select(entry.y, entry.x, k + 1u == n);
}

/// Eigenvalue k of the tridiagonal, all of which are at most `reach` from 0.
fn bisect(a0: u32, k: u32, reach: f32) -> f32 {
    var low = -reach;
    var high = reach;
    for (var halving = 0u; halving < HALVINGS; halving += 1u) {
        let middle = 0.5 * (low + high);
        if count_below(a0, middle) > k {
            high = middle;
        } else {
            low = middle;
        }
    }
    return 0.5 * (low + high);
}

/// Eigenvalues below x: negative pivots of the tridiagonal less x (Sturm).
fn count_below(a0: u32, x: f32) -> u32 {
    var count = 0u;
    var pivot = 1.0;
    for (var k = 0u; k < launch.n; k += 1u) {
        let side = beside(a0, k);
        pivot = diagonal(a0, k) - x - side * side / pivot;
        // A pivot of zero stands for a very small one.
        if abs(pivot) < 1e-20 {
            pivot = -1e-20;
        }
        count += select(0u, 1u, pivot < 0.0);
    }
    return count;
}
