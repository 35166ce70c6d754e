//! rank_statistics — agreement, ranks and nulls of the three forms, into the row.
//!
//! in 0 sums [32 + 3 N], see `plan::layout`   in 1 eigenvalues [3, N] ascending (SPECTRUM)   inout 2 scalars
//! params n, parameters P   order: ascending, in f64
//!
//! Ranks as in SCIENCE of the docs: erank (Roy & Vetterli 2007) on singular values and on eigenvalues, participation
//! ratio with its population form, stable rank; eigenvalues below 4 N eps lambda_max are dropped, eps that in which K
//! was formed. Centred statistics are null where centring costs more digits than K has to spare.

use crate::plan::layout::{
    CENTRED, CONDITION, COSINE, COSINE_MIN, COSINE_SUM, DIAGONAL2, FROBENIUS2, HEAD, NEGATIVE, PAIRS, PER_FORM, RAW,
    SAMPLES, TRACE,
};
use super::entropy::entropy_rank;
use super::null_rank::null_ranks;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::RATES;
use crate::stats::columns;

/// Largest relative error that centring may add.
const CENTRING_ERROR: f64 = 1.2e-5;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, parameters] = args.params();
    let sums = args.wide("sums");
    let spectrum = args.flag("SPECTRUM").then(|| args.wide("eigenvalues"));
    let eps = S::PRECISION.epsilon();
    let row = &mut args.wide_mut("scalars")[RATES..];
    row[columns::N] = n as f64;
    row[columns::PARAMETERS] = parameters as f64;
    row[columns::MEAN_COSINE] = sums[COSINE_SUM] / sums[PAIRS];
    row[columns::MIN_COSINE] = if sums[PAIRS] > 0.0 { sums[COSINE_MIN] } else { f64::NAN };
    row[columns::NEGATIVE_FRACTION] = sums[NEGATIVE] / sums[PAIRS];
    row[columns::CENTRING_CONDITION] = sums[CONDITION];
    // NaN fails the comparison too.
    let centred_holds = sums[CONDITION] * eps <= CENTRING_ERROR;
    for (form, first) in [(RAW, columns::RAW), (COSINE, columns::COSINE), (CENTRED, columns::CENTRED)] {
        let out = &mut row[first..first + columns::FORM];
        if form == CENTRED && !centred_holds {
            out.fill(f64::NAN);
            continue;
        }
        let head = &sums[form * PER_FORM..];
        // The centred null centres directions that have the raw norms.
        let norms = if form == CENTRED { RAW } else { form };
        let diagonal = &sums[HEAD + norms * n..][..n];
        let (trace, frobenius2) = (head[TRACE], head[FROBENIUS2]);
        out[2] = trace * trace / frobenius2;
        out[3] = population_ratio(form, head);
        let ranks = spectrum.map(|values| Ranks::of(&values[form * n..][..n], eps));
        let ranks = ranks.unwrap_or(Ranks::UNKNOWN);
        out[0] = ranks.sigma;
        out[1] = ranks.lambda;
        out[4] = trace / ranks.largest;
        out[5] = ranks.kept;
        out[6] = ranks.negative;
        [out[7], out[8]] = null_ranks(diagonal, parameters, form == CENTRED);
    }
}

/// Participation ratio of the population from which the samples are a draw.
fn population_ratio(form: usize, head: &[f64]) -> f64 {
    let (trace, frobenius2, diagonal2, n) = (head[TRACE], head[FROBENIUS2], head[DIAGONAL2], head[SAMPLES]);
    if form != CENTRED {
        return (trace * trace - diagonal2) / (frobenius2 - diagonal2);
    }
    // Unbiased estimates of (tr S)^2 and tr S^2, S the (n - 1)-normalised covariance. Below four samples both vanish
    // identically, and only their rounding errors would be divided.
    if n < 4.0 {
        return f64::NAN;
    }
    let m = n - 1.0;
    let (trace, square, fourth) = (trace / m, frobenius2 / (m * m), diagonal2 / m);
    let numerator = 2.0 * square + (n * n - 3.0 * n + 1.0) * trace * trace - n * fourth;
    let denominator = m * (n - 2.0) * square + trace * trace - n * fourth;
    numerator / denominator
}

/// What follows from a spectrum.
struct Ranks {
    sigma: f64,
    lambda: f64,
    largest: f64,
    kept: f64,
    negative: f64,
}

impl Ranks {
    /// No spectrum was solved.
    const UNKNOWN: Self = Self {
        sigma: f64::NAN,
        lambda: f64::NAN,
        largest: f64::NAN,
        kept: f64::NAN,
        negative: f64::NAN,
    };

    fn of(ascending: &[f64], eps: f64) -> Self {
        let largest = ascending.last().copied().unwrap_or(f64::NAN);
        if largest.is_nan() || largest <= 0.0 {
            return Self::UNKNOWN;
        }
        let threshold = 4.0 * ascending.len() as f64 * eps * largest;
        let kept: Vec<f64> = ascending.iter().copied().filter(|l| *l >= threshold).collect();
        Self {
            sigma: entropy_rank(kept.iter().map(|l| l.sqrt())),
            lambda: entropy_rank(kept.iter().copied()),
            largest,
            kept: kept.len() as f64,
            negative: ascending.iter().filter(|l| **l < 0.0).count() as f64,
        }
    }
}
