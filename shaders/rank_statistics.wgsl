// rank_statistics — agreement, ranks and nulls of the three forms, into the row.
//
// in 0 sums [32 + 3 N], see `plan::layout`   in 1 eigenvalues [3, N] ascending (SPECTRUM)   inout 2 scalars
// params n, parameters P   order: in wide numbers, 128 running sums added in a tree; logarithms, roots and nulls in f32;
// one workgroup a run
// import layout
// import wide
// import math
// import reduce
// import null
//
// Ranks as in SCIENCE of the docs: erank (Roy & Vetterli 2007) on singular values and on eigenvalues, participation
// ratio with its population form, stable rank; eigenvalues below 4 N eps lambda_max are dropped, eps that in which K
// was formed. Centred statistics are null where centring costs more digits than K has to spare.

const LANES = 128u;

/// Distance from 1 to the next f32.
const EPS = 1.1920929e-7;

/// Largest relative error that centring may add.
const CENTRING_ERROR = 1.2e-5;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let head = sums_at(run);
    let row = scalars_at(run) + CONTROL_RATES;
    let pairs = sums[head + PAIRS];
    let condition = sums[head + CONDITION];
    if lane == 0u {
        scalars[row + COLUMN_N] = wide_from_word(launch.n);
        scalars[row + COLUMN_PARAMETERS] = wide_from_word(launch.parameters);
        scalars[row + COLUMN_MEAN_COSINE] = wide_div(sums[head + COSINE_SUM], pairs);
        scalars[row + COLUMN_MIN_COSINE] = select(wide(not_a_number()), sums[head + COSINE_MIN], pairs.x > 0.0);
        scalars[row + COLUMN_NEGATIVE_FRACTION] = wide_div(sums[head + NEGATIVE], pairs);
        // Where nothing is left after centring, as of a single sample, there is no condition.
        scalars[row + COLUMN_CENTRING_CONDITION] = select(wide(not_a_number()), condition, is_finite(condition.x));
    }
    // NaN fails the comparison too.
    let centred_holds = is_finite(condition.x) && condition.x * EPS <= CENTRING_ERROR;
    for (var form = 0u; form < 3u; form += 1u) {
        let out = row + select(select(COLUMN_CENTRED, COLUMN_COSINE, form == COSINE), COLUMN_RAW, form == RAW);
        if form == CENTRED && !centred_holds {
            if lane < FORM {
                scalars[out + lane] = wide(not_a_number());
            }
            continue;
        }
        let at = head + form * PER_FORM;
        let trace = sums[at + TRACE];
        var spectrum = Ranks(wide(not_a_number()), wide(not_a_number()), wide(not_a_number()), wide(not_a_number()),
            wide(not_a_number()));
        if SPECTRUM != 0u {
            spectrum = ranks(run, form, lane);
        }
        // The centred null centres directions that have the raw norms.
        let nulls = null_ranks(head + HEAD + select(form, RAW, form == CENTRED) * launch.n, form == CENTRED, lane);
        if lane == 0u {
            scalars[out] = spectrum.sigma;
            scalars[out + 1u] = spectrum.lambda;
            scalars[out + 2u] = wide_div(wide_mul(trace, trace), sums[at + FROBENIUS2]);
            scalars[out + 3u] = population_ratio(at, form);
            scalars[out + 4u] = wide_div(trace, spectrum.largest);
            scalars[out + 5u] = spectrum.kept;
            scalars[out + 6u] = spectrum.negative;
            scalars[out + 7u] = wide(nulls.x);
            scalars[out + 8u] = wide(nulls.y);
        }
    }
}

/// Participation ratio of the population from which the samples are a draw.
fn population_ratio(at: u32, form: u32) -> vec2<f32> {
    let trace = sums[at + TRACE];
    let frobenius2 = sums[at + FROBENIUS2];
    let diagonal2 = sums[at + DIAGONAL2];
    let n = sums[at + SAMPLES];
    if form != CENTRED {
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

fn ranks(run: u32, form: u32, lane: u32) -> Ranks {
    let n = launch.n;
    let first = eigenvalues_at(run) + form * n;
    let largest = eigenvalues[first + n - 1u];
    let unknown = wide(not_a_number());
    if !(largest.x > 0.0) || is_nan(largest.x) {
        return Ranks(unknown, unknown, unknown, unknown, unknown);
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
