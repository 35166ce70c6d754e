// ranks — the ranks of one form of a Gram matrix. Needs `layout`, `wide`, `math`, `reduce`, bindings `sums` and
// `eigenvalues`, and parameter n.

/// Distance from 1 to the next f32.
const EPS = 1.1920929e-7;

/// Largest relative error that centring may add.
const CENTRING_ERROR = 1.2e-5;

/// Whether a matrix has digits left after centring; not where nothing is left, which is NaN or infinite.
fn centring_holds(condition: vec2<f32>) -> bool {
    return is_finite(condition.x) && condition.x * EPS <= CENTRING_ERROR;
}

/// Participation ratio of the population from which the samples are a draw.
fn population_ratio(at: u32, centred: bool) -> vec2<f32> {
    let trace = sums[at + TRACE];
    let frobenius2 = sums[at + FROBENIUS2];
    let diagonal2 = sums[at + DIAGONAL2];
    let n = sums[at + SAMPLES];
    if !centred {
        return wide_div(wide_sub(wide_mul(trace, trace), diagonal2), wide_sub(frobenius2, diagonal2));
    }
    // Unbiased estimates of (tr S)^2 and tr S^2, S the (n - 1)-normalised covariance. Below four samples both vanish
    // identically, and only their rounding errors would be divided.
    if n.x < 4.0 {
        return wide(not_a_number());
    }
    let m = wide_sub(n, wide(1.0));
    let mean = wide_div(trace, m);
    let trace2 = wide_mul(mean, mean);
    let square = wide_div(frobenius2, wide_mul(m, m));
    let fourth = wide_mul(n, wide_div(diagonal2, m));
    let weight = wide_add(wide_sub(wide_mul(n, n), 2.0 * n + n), wide(1.0));
    let numerator = wide_sub(wide_add(2.0 * square, wide_mul(weight, trace2)), fourth);
    let rest = wide_mul(wide_mul(m, wide_sub(n, wide(2.0))), square);
    return wide_div(numerator, wide_sub(wide_add(rest, trace2), fourth));
}

/// What follows from a spectrum.
struct Ranks {
    sigma: vec2<f32>,
    lambda: vec2<f32>,
    largest: vec2<f32>,
    kept: vec2<f32>,
    negative: vec2<f32>,
}

fn unknown_ranks() -> Ranks {
    let unknown = wide(not_a_number());
    return Ranks(unknown, unknown, unknown, unknown, unknown);
}

/// Of the n eigenvalues, ascending, from `first` on.
fn ranks_of(first: u32, lane: u32) -> Ranks {
    let n = launch.n;
    let largest = eigenvalues[first + n - 1u];
    if !(largest.x > 0.0) || is_nan(largest.x) {
        return unknown_ranks();
    }
    let threshold = wide_mul(largest, wide(4.0 * f32(n) * EPS));
    var roots = wide(0.0);
    var values = wide(0.0);
    var kept = 0u;
    var negative = 0u;
    for (var k = lane; k < n; k += LANES) {
        let value = eigenvalues[first + k];
        negative += select(0u, 1u, value.x < 0.0);
        if !wide_less(value, threshold) {
            kept += 1u;
            values = wide_add(values, value);
            roots = wide_add(roots, wide_sqrt(value));
        }
    }
    values = sum_lanes(lane, values);
    roots = sum_lanes(lane, roots);
    // Entropies of q = x / sum x.
    var sigma = wide(0.0);
    var lambda = wide(0.0);
    for (var k = lane; k < n; k += LANES) {
        let value = eigenvalues[first + k];
        if !wide_less(value, threshold) {
            sigma = wide_add(sigma, wide(surprise(narrow(wide_div(wide_sqrt(value), roots)))));
            lambda = wide_add(lambda, wide(surprise(narrow(wide_div(value, values)))));
        }
    }
    sigma = sum_lanes(lane, sigma);
    lambda = sum_lanes(lane, lambda);
    let ranked = sum_lanes(lane, wide_from_word(kept));
    let negatives = sum_lanes(lane, wide_from_word(negative));
    return Ranks(wide_exp(sigma), wide_exp(lambda), largest, ranked, negatives);
}

/// -q ln q
fn surprise(q: f32) -> f32 {
    return select(-q * log_exact(q), 0.0, q <= 0.0);
}

/// e^x with the digits of f32, whatever x is.
fn wide_exp(x: vec2<f32>) -> vec2<f32> {
    return wide(exp_exact(x.x) * (1.0 + x.y));
}
