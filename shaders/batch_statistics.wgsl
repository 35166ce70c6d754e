// batch_statistics — norms, coherence and noise of the step's batch.
//
// in 0 norm [N], as scaled   in 1 exponent [N]   inout 2 scalars, with |mean g|^2   params n
// order: 256 running sums in wide numbers, added in a tree; one workgroup a run
// import layout
// import wide
// import math
// import reduce
//
// With S = sum |g_i|^2 and Q = |sum g_i|^2: coherence = Q/(n S), coherence_unbiased = (n coherence - 1)/(n - 1),
// noise_g2 = (Q - S)/(n (n - 1)), noise_trace = (S - Q/n)/(n - 1) (McCandlish et al. 1812.06162, batch of 1).

const LANES = 256u;
/// Below it squares of norms lose digits to the range of f32, and what is made of them is null.
const SMALLEST_SQUARE = 1e-28;
const LN_2 = vec2(0.693147182, -1.90465432e-9);

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    // Logarithms about that of the first non-zero norm, so that their variance does not cancel.
    var first = -infinite();
    for (var sample = lane; sample < launch.n; sample += LANES) {
        if norm[norm_at(run) + sample].x > 0.0 && !is_finite(first) {
            first = -f32(sample);
        }
    }
    first = extreme_pairs(lane, vec2(first, 0.0)).x;
    var centre = wide(0.0);
    if is_finite(first) {
        centre = log_norm(run, u32(-first));
    }
    var sum = wide(0.0);
    var square = wide(0.0);
    var logs = wide(0.0);
    var log_squares = wide(0.0);
    var alive = 0u;
    var extremes = vec2(0.0, infinite());
    for (var sample = lane; sample < launch.n; sample += LANES) {
        let scaled = norm[norm_at(run) + sample];
        let power = bitcast<i32>(exponent[exponent_at(run) + sample]);
        let root = wide_sqrt(wide_max(scaled, wide(0.0)));
        let size = vec2(scale(root.x, -power), scale(root.y, -power));
        sum = wide_add(sum, size);
        square = wide_add(square, wide_mul(size, size));
        extremes.x = select(extremes.x, size.x, size.x > extremes.x);
        extremes.y = select(extremes.y, size.x, size.x < extremes.y);
        if root.x > 0.0 {
            let log = wide_sub(log_norm(run, sample), centre);
            logs = wide_add(logs, log);
            log_squares = wide_add(log_squares, wide_mul(log, log));
            alive += 1u;
        }
    }
    sum = sum_lanes(lane, sum);
    square = sum_lanes(lane, square);
    logs = sum_lanes(lane, logs);
    log_squares = sum_lanes(lane, log_squares);
    let living = sum_lanes(lane, wide_from_word(alive));
    extremes = extreme_pairs(lane, extremes);
    if lane > 0u {
        return;
    }
    let n = wide_from_word(launch.n);
    // One sample says nothing about the spread; rounding would make it infinite.
    let others = select(wide(not_a_number()), wide_sub(n, wide(1.0)), launch.n > 1u);
    let rates = scalars_at(run);
    let row = rates + CONTROL_RATES;
    let mean_log = wide_div(logs, living);
    let variance = wide_sub(wide_div(log_squares, living), wide_mul(mean_log, mean_log));
    scalars[row + COLUMN_N_BATCH] = n;
    scalars[row + COLUMN_ZERO_GRADIENTS] = wide_sub(n, living);
    scalars[row + COLUMN_NORM_MEAN] = wide_div(sum, n);
    scalars[row + COLUMN_NORM_MIN] = wide(extremes.y);
    scalars[row + COLUMN_NORM_MAX] = wide(extremes.x);
    let log_sd = wide_sqrt(wide_max(variance, wide(0.0)));
    scalars[row + COLUMN_NORM_LOG_SD] = select(wide(not_a_number()), log_sd, living.x > 0.0);
    let total = wide_mul(scalars[rates + CONTROL_MEAN_SQUARE], wide_mul(n, n));
    let alpha = wide_div(wide_div(total, n), square);
    if living.x > 0.0 && square.x < SMALLEST_SQUARE {
        for (var column = COLUMN_COHERENCE; column <= COLUMN_NOISE_G2; column += 1u) {
            scalars[row + column] = wide(not_a_number());
        }
        return;
    }
    scalars[row + COLUMN_COHERENCE] = alpha;
    scalars[row + COLUMN_COHERENCE_UNBIASED] = wide_div(wide_sub(wide_mul(n, alpha), wide(1.0)), others);
    scalars[row + COLUMN_NOISE_TRACE] = wide_div(wide_sub(square, wide_div(total, n)), others);
    scalars[row + COLUMN_NOISE_G2] = wide_div(wide_sub(total, square), wide_mul(n, others));
}

/// ln of a sample's norm: half the logarithm of the mantissa of its square, and the powers of two exactly.
fn log_norm(run: u32, sample: u32) -> vec2<f32> {
    let square = norm[norm_at(run) + sample].x;
    let p = parts(square);
    let power = 0.5 * f32(p.exponent) - f32(bitcast<i32>(exponent[exponent_at(run) + sample]));
    return wide_add(wide(0.5 * log_exact(p.fraction)), wide_mul(LN_2, wide(power)));
}
