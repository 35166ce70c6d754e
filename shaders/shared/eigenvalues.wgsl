// eigenvalues — those of a symmetric positive matrix of at most LANES rows, in wide numbers, and the effective rank of
// their roots. Needs `wide`, `math` and `reduce`. All threads must call its functions; each keeps the column that bears
// its number in `matrix`, where a workgroup's memory would not hold the whole.
// Order: Householder's reduction to a tridiagonal, where a thread makes a column, sums over rows ascending, others in a
// tree; then bisection by Sturm's count, an eigenvalue a thread.

var<private> matrix: array<vec2<f32>, LANES>;

/// The reflector of a step, and what it changes the matrix by.
var<workgroup> reflector: array<vec2<f32>, LANES>;
var<workgroup> change: array<vec2<f32>, LANES>;

/// The tridiagonal: its diagonal, and the squares of what is below row k.
var<workgroup> diagonal: array<vec2<f32>, LANES>;
var<workgroup> below2: array<vec2<f32>, LANES>;

/// Halvings of an interval at most: those of an eigenvalue that is not 0 end when its digits are found.
const HALVINGS = 110u;

/// An eigenvalue below this share of the trace, for each row, is rounding: it counts as 0, since its root would not be
/// small.
const ROUNDING = 1.4e-14;

/// exp(-sum q ln q) with q = x / sum x, x the roots of the eigenvalues; 1 where there is none above 0.
fn root_rank(side: u32, lane: u32) -> vec2<f32> {
    let trace = prepare(side, lane);
    for (var k = 0u; k + 2u < side; k += 1u) {
        reflect(k, side, lane);
    }
    diagonal[lane] = matrix[lane];
    if lane + 2u == side {
        below2[lane] = wide_mul(matrix[lane + 1u], matrix[lane + 1u]);
    }
    workgroupBarrier();
    var root = wide(0.0);
    if lane < side && trace.x > 0.0 && is_finite(trace.x) {
        let value = bisect(lane, side);
        root = wide_sqrt(select(value, wide(0.0), value.x < f32(side) * ROUNDING));
    }
    let roots = sum_lanes(lane, root);
    var entropy = wide(0.0);
    if root.x > 0.0 {
        let q = wide_div(root, roots);
        entropy = wide_mul(q, -wide_log(q));
    }
    entropy = sum_lanes(lane, entropy);
    return wide_div(wide(1.0), wide_add(wide(1.0), wide_exp_m1(-entropy)));
}

/// Scales the matrix by a power of two, so that its trace lies in [1/2, 1); returns what that was.
fn prepare(side: u32, lane: u32) -> vec2<f32> {
    let trace = sum_lanes(lane, select(wide(0.0), matrix[lane], lane < side));
    if trace.x > 0.0 && is_finite(trace.x) {
        let power = -parts(trace.x).exponent;
        for (var k = 0u; k < side; k += 1u) {
            matrix[k] = vec2(scale(matrix[k].x, power), scale(matrix[k].y, power));
        }
    }
    return trace;
}

/// Clears column k below its second entry, and applies the reflector I - v v' / beta to what is right of it.
fn reflect(k: u32, side: u32, lane: u32) {
    let first = k + 1u;
    let is_right = lane >= first && lane < side;
    if lane == k {
        for (var i = first; i < side; i += 1u) {
            reflector[i] = matrix[i];
        }
    }
    workgroupBarrier();
    let head = reflector[first];
    var square = wide(0.0);
    if lane > first && lane < side {
        square = wide_mul(reflector[lane], reflector[lane]);
    }
    let tail = sum_lanes(lane, square);
    let norm2 = wide_add(tail, wide_mul(head, head));
    if lane == 0u {
        below2[k] = norm2;
    }
    // Otherwise there is nothing to clear.
    let clears = tail.x > 0.0;
    // v = x - alpha e_1 with alpha = -sign(x_1) |x|, and beta = v.v / 2 = |x| (|x| + |x_1|).
    let length = wide_sqrt(norm2);
    let signed_length = select(length, -length, head.x < 0.0);
    let beta = wide_add(norm2, wide_mul(head, signed_length));
    if lane == 0u {
        reflector[first] = wide_add(head, signed_length);
    }
    workgroupBarrier();
    // w = p - v (v.p) / (2 beta) with p = A v / beta
    var p = wide(0.0);
    var along = wide(0.0);
    if is_right && clears {
        for (var i = first; i < side; i += 1u) {
            p = wide_add(p, wide_mul(matrix[i], reflector[i]));
        }
        p = wide_div(p, beta);
        along = wide_mul(p, reflector[lane]);
    }
    along = sum_lanes(lane, along);
    if is_right && clears {
        let half = wide_div(along, 2.0 * beta);
        change[lane] = wide_sub(p, wide_mul(half, reflector[lane]));
    }
    workgroupBarrier();
    if is_right && clears {
        for (var i = first; i < side; i += 1u) {
            let both = wide_add(wide_mul(reflector[i], change[lane]), wide_mul(change[i], reflector[lane]));
            matrix[i] = wide_sub(matrix[i], both);
        }
    }
    workgroupBarrier();
}

/// Eigenvalue k, all of which lie in [0, 1] but for rounding.
fn bisect(k: u32, side: u32) -> vec2<f32> {
    var low = wide(0.0);
    var high = wide(1.0);
    for (var halving = 0u; halving < HALVINGS && wide_sub(high, low).x > 7e-15 * high.x; halving += 1u) {
        let middle = 0.5 * wide_add(low, high);
        if count_below(middle, side) > k {
            high = middle;
        } else {
            low = middle;
        }
    }
    return 0.5 * wide_add(low, high);
}

/// Eigenvalues below x: negative pivots of the tridiagonal less x (Sturm).
fn count_below(x: vec2<f32>, side: u32) -> u32 {
    var count = 0u;
    var pivot = wide(1.0);
    for (var k = 0u; k < side; k += 1u) {
        let rest = wide_sub(diagonal[k], x);
        if k == 0u {
            pivot = rest;
        } else {
            pivot = wide_sub(rest, wide_div(below2[k - 1u], pivot));
        }
        // A pivot of zero stands for a very small one.
        if abs(pivot.x) < 1e-34 {
            pivot = wide(-1e-34);
        }
        count += select(0u, 1u, pivot.x < 0.0);
    }
    return count;
}
