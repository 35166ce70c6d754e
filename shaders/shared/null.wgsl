// null — the null beside every rank: the same norms with random directions, in f32. Needs `wide`, `math`, `reduce`, a
// binding `sums` and parameters n and P.
//
// Random directions in P dimensions have K_ii = d_i and independent K_ij of mean 0 and variance d_i d_j / P, so to
// second order in K_ij (Daleckii & Krein) a sum over eigenvalues is
// `sum f(d_i) + 1/2 sum_{i != j} f'[d_i, d_j] d_i d_j / P`, with the divided difference of f'.
// Centred, the d_i give way to the eigenvalues of `H diag(d) H`: the roots of `sum 1/(d_i - x)`, one between each two
// neighbours among the sorted d.
// Where P is below 16 n that is too coarse, and where n exceeds the levels that a workgroup can keep, the centred ones
// are out of reach: there the result is null.

/// All that 16 KiB hold beside the reductions.
const LEVELS = 3840u;

var<workgroup> levels: array<f32, LEVELS>;

/// Expected erank on singular values and on eigenvalues of gradients whose squared norms stand in `sums` from `first` on,
/// and have random directions; with `centred`, after their mean is taken away.
fn null_ranks(first: u32, centred: bool, lane: u32) -> vec2<f32> {
    let n = launch.n;
    if launch.parameters / 16u < n || (centred && n > LEVELS) {
        return vec2(not_a_number());
    }
    var total = wide(0.0);
    for (var i = lane; i < n; i += LANES) {
        total = wide_add(total, sums[first + i]);
    }
    // Levels have mean 1.
    let inverse = f32(n) / narrow(sum_lanes(lane, total));
    if !is_finite(inverse) {
        return vec2(not_a_number());
    }
    if centred {
        for (var i = lane; i < n; i += LANES) {
            levels[i] = centred_level(first, inverse, i);
        }
        workgroupBarrier();
    }
    var roots = wide(0.0);
    var root_logs = wide(0.0);
    var values = wide(0.0);
    var logs = wide(0.0);
    for (var i = lane; i < n; i += LANES) {
        let x = level(first, inverse, centred, i);
        if !(x > 0.0) {
            continue;
        }
        let root = sqrt(x);
        let log = log_exact(x);
        var pairs = vec3(0.0);
        for (var j = 0u; j < i; j += 1u) {
            let y = level(first, inverse, centred, j);
            if y > 0.0 {
                pairs += pair(x, root, log, y);
            }
        }
        pairs /= f32(launch.parameters);
        values = wide_add(values, wide(x));
        roots = wide_add(roots, wide(root + pairs.x));
        root_logs = wide_add(root_logs, wide(0.5 * root * log + pairs.y));
        logs = wide_add(logs, wide(x * log + pairs.z));
    }
    values = sum_lanes(lane, values);
    roots = sum_lanes(lane, roots);
    root_logs = sum_lanes(lane, root_logs);
    logs = sum_lanes(lane, logs);
    workgroupBarrier();
    if !(values.x > 0.0) {
        return vec2(not_a_number());
    }
    return vec2(
        roots.x * exp_exact(-narrow(wide_div(root_logs, roots))),
        values.x * exp_exact(-narrow(wide_div(logs, values))),
    );
}

fn level(first: u32, inverse: f32, centred: bool, i: u32) -> f32 {
    if centred {
        return levels[i];
    }
    return sums[first + i].x * inverse;
}

/// What one pair of levels adds to the sums of roots, of roots times half their levels' logarithms, and of levels times
/// logarithms, times P; each stands for (j, i) too.
fn pair(x: f32, root_x: f32, log_x: f32, y: f32) -> vec3<f32> {
    let root_y = sqrt(y);
    let log_y = log_exact(y);
    let between = root_x * root_y * (root_x + root_y);
    // (ln x - ln y)/(x - y): a series in u where the difference would cancel, ln(x/y) = 2 atanh(u).
    let u = (x - y) / (x + y);
    let s = u * u;
    let series = 2.0 / (x + y) * (1.0 + s * (0.333333333 + s * (0.2 + s * (0.142857143 + s * 0.111111111))));
    let slope = select((log_x - log_y) / (x - y), series, s < 0.0225);
    // f = sqrt(x) ln(x) / 2 has f' = (ln x + 2)/(4 sqrt x).
    let root_log = 0.25 * (slope / root_x - (log_y + 2.0) / between);
    return x * y * vec3(-0.5 / between, root_log, slope);
}

/// The root of `sum 1/(d_i - x)` between a sample's level and the next larger one; 0 for the largest.
fn centred_level(first: u32, inverse: f32, own: u32) -> f32 {
    let n = launch.n;
    let low_end = sums[first + own].x;
    var high_end = infinite();
    for (var i = 0u; i < n; i += 1u) {
        let d = sums[first + i].x;
        if d > low_end || (d == low_end && i > own) {
            high_end = min(high_end, d);
        }
    }
    if !is_finite(high_end) {
        return 0.0;
    }
    // In distances from the lower end, so that roots near it keep their digits.
    var low = 0.0;
    var high = high_end - low_end;
    for (var halving = 0u; halving < 26u && high > low; halving += 1u) {
        let middle = 0.5 * (low + high);
        var sum = 0.0;
        for (var i = 0u; i < n; i += 1u) {
            sum += 1.0 / ((sums[first + i].x - low_end) - middle);
        }
        if sum < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (low_end + 0.5 * (low + high)) * inverse;
}
