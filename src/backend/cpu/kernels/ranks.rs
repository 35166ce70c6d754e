//! The ranks of one form of a Gram matrix, in the order of their columns.

use super::entropy::entropy_rank;
use super::null_rank::null_ranks;
use crate::plan::layout::{DIAGONAL2, FROBENIUS2, SAMPLES, TRACE};

/// Largest relative error that centring may add.
const CENTRING_ERROR: f64 = 1.2e-5;

/// Whether a matrix of this precision has digits left after centring; not where nothing is left, which is NaN.
pub fn centring_holds(condition: f64, eps: f64) -> bool {
    condition * eps <= CENTRING_ERROR
}

/// What ranks are made of.
pub struct Form<'a> {
    /// Trace, squared Frobenius norm, sum of squared diagonal entries, samples.
    pub head: &'a [f64],
    /// Ascending, if they were solved.
    pub eigenvalues: Option<&'a [f64]>,
    /// Squared norms that the null keeps, before it is centred.
    pub norms: &'a [f64],
    /// Whether the mean was taken away.
    pub centred: bool,
    /// Dimensions of the vectors.
    pub parameters: usize,
    /// Of the precision in which the matrix was formed.
    pub eps: f64,
}

impl Form<'_> {
    /// Writes the columns from `erank_sigma` to `null_erank_lambda`.
    pub fn write(&self, out: &mut [f64]) {
        let (trace, frobenius2) = (self.head[TRACE], self.head[FROBENIUS2]);
        let ranks = self.eigenvalues.map(|values| Ranks::of(values, self.eps));
        let ranks = ranks.unwrap_or(Ranks::UNKNOWN);
        let [null_sigma, null_lambda] = null_ranks(self.norms, self.parameters, self.centred);
        out.copy_from_slice(&[
            ranks.sigma,
            ranks.lambda,
            trace * trace / frobenius2,
            self.population_ratio(),
            trace / ranks.largest,
            ranks.kept,
            ranks.negative,
            null_sigma,
            null_lambda,
        ]);
    }

    /// Participation ratio of the population from which the samples are a draw.
    fn population_ratio(&self) -> f64 {
        let [trace, frobenius2, diagonal2, n] = [TRACE, FROBENIUS2, DIAGONAL2, SAMPLES].map(|k| self.head[k]);
        if !self.centred {
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
