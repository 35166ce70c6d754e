//! Correlations with what they are worth: intervals, p-values, control of other variables, comparison with each other.

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::draws::Draws;
use super::regression::{self, t_test};
use super::series::{mean, ranks};
use crate::error::{Error, Result};

/// A correlation coefficient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// The coefficient.
    pub r: f64,
    /// 95 % interval by Fisher's z (for Spearman's with the variance 1.06/(n - 3) of Fieller, Hartley and Pearson 1957);
    /// NaN for n < 4.
    pub interval: (f64, f64),
    /// Two-sided p-value of r = 0 by Student's t.
    pub p: f64,
    /// Pairs.
    pub n: usize,
}

/// Pearson's correlation.
///
/// # Errors
/// If lengths differ, there are fewer than three pairs, or one side is constant or not finite.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<Correlation> {
    let r = coefficient(x, y)?;
    Ok(judged(r, x.len(), 0, 1.0))
}

/// Spearman's: Pearson's of the ranks, ties sharing theirs.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<Correlation> {
    check(x, y)?;
    let r = coefficient(&ranks(x), &ranks(y))?;
    Ok(judged(r, x.len(), 0, 1.06))
}

/// The correlation of what is left of x and y after a regression of each on the controls.
///
/// # Errors
/// As [`pearson`]; if the controls are linearly dependent, or explain x or y wholly.
pub fn partial(x: &[f64], y: &[f64], controls: &[&[f64]]) -> Result<Correlation> {
    check(x, y)?;
    let rest = |values: &[f64]| -> Result<Vec<f64>> {
        let fit = regression::fit(controls, values)?;
        let left = 1.0 - fit.r2;
        if left.is_nan() || left <= 1e-12 {
            return Err(Error::numeric("the controls leave nothing of a variable to correlate"));
        }
        Ok(fit.residuals)
    };
    let r = coefficient(&rest(x)?, &rest(y)?)?;
    if x.len() < 3 + controls.len() {
        return Err(Error::numeric("more controls than the pairs allow"));
    }
    Ok(judged(r, x.len(), controls.len(), 1.0))
}

/// Two-sided p-value of a statistic under random pairings of x with y: (1 + number as extreme)/(1 + permutations).
///
/// # Errors
/// What `statistic` says of the pairs as they are.
pub fn permutation_p(
    x: &[f64],
    y: &[f64],
    statistic: impl Fn(&[f64], &[f64]) -> Result<f64>,
    permutations: u32,
    seed: u64,
) -> Result<f64> {
    let found = statistic(x, y)?.abs();
    let mut extreme = 0u32;
    for index in 0..permutations {
        let order = Draws::new(seed, index).permutation(y.len());
        let shuffled: Vec<f64> = order.iter().map(|&k| y[k]).collect();
        // To rounding: the pairing as it was found counts as extreme as itself.
        if statistic(x, &shuffled)?.abs() >= found * (1.0 - 1e-12) {
            extreme += 1;
        }
    }
    Ok(f64::from(1 + extreme) / f64::from(1 + permutations))
}

/// Whether x correlates more strongly with y than z does, all three measured on the same units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// r(x, y), r(z, y) and r(x, z).
    pub r: [f64; 3],
    /// Williams' t, with n - 3 degrees of freedom (Williams 1959; the form that Steiger 1980 recommends).
    pub williams_t: f64,
    /// Its two-sided p-value.
    pub williams_p: f64,
    /// Steiger's z, with Fisher's transform and the pooled correlation in the covariance (Steiger 1980, eq. 14).
    pub steiger_z: f64,
    /// Its two-sided p-value.
    pub steiger_p: f64,
}

/// Compares r(x, y) with r(z, y), two dependent correlations that share y. To compare magnitudes, give x and z the signs
/// in which both correlate positively.
///
/// # Errors
/// As [`pearson`], or if there are fewer than four units.
pub fn compare_dependent(x: &[f64], z: &[f64], y: &[f64]) -> Result<Comparison> {
    let n = y.len() as f64;
    if y.len() < 4 {
        return Err(Error::numeric(format!(
            "{} units do not compare two correlations, expected at least 4",
            y.len()
        )));
    }
    let (a, b, c) = (coefficient(x, y)?, coefficient(z, y)?, coefficient(x, z)?);
    // Of the 3x3 correlation matrix; never negative but by rounding.
    let determinant = (1.0 - a * a - b * b - c * c + 2.0 * a * b * c).max(0.0);
    let pooled = f64::midpoint(a, b);
    let below = 2.0 * (n - 1.0) / (n - 3.0) * determinant + pooled.powi(2) * (1.0 - c).powi(3);
    let williams_t = (a - b) * ((n - 1.0) * (1.0 + c) / below).sqrt();
    let pooled2 = pooled * pooled;
    let psi = c * (1.0 - 2.0 * pooled2) - 0.5 * pooled2 * (1.0 - 2.0 * pooled2 - c * c);
    let covariance = psi / (1.0 - pooled2).powi(2);
    let steiger_z = (a.atanh() - b.atanh()) * ((n - 3.0) / (2.0 - 2.0 * covariance)).sqrt();
    Ok(Comparison {
        r: [a, b, c],
        williams_t,
        williams_p: t_test(williams_t, n - 3.0),
        steiger_z,
        steiger_p: normal_test(steiger_z),
    })
}

fn check(x: &[f64], y: &[f64]) -> Result<()> {
    if x.len() != y.len() {
        return Err(Error::shape(format!(
            "{} and {} values, expected pairs",
            x.len(),
            y.len()
        )));
    }
    if x.len() < 3 {
        return Err(Error::numeric(format!(
            "{} pairs have no correlation, expected at least 3",
            x.len()
        )));
    }
    if x.iter().chain(y).any(|value| !value.is_finite()) {
        return Err(Error::numeric("a value to be correlated is not finite"));
    }
    Ok(())
}

fn coefficient(x: &[f64], y: &[f64]) -> Result<f64> {
    check(x, y)?;
    let centred = |values: &[f64]| -> Vec<f64> {
        let centre = mean(values);
        values.iter().map(|value| value - centre).collect()
    };
    let (x, y) = (centred(x), centred(y));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = (dot(&x, &x) * dot(&y, &y)).sqrt();
    if scale.is_nan() || scale <= 0.0 {
        return Err(Error::numeric("a constant has no correlation"));
    }
    Ok((dot(&x, &y) / scale).clamp(-1.0, 1.0))
}

fn judged(r: f64, n: usize, controls: usize, factor: f64) -> Correlation {
    let freedom = n as f64 - 2.0 - controls as f64;
    let t = r * (freedom / (1.0 - r * r)).sqrt();
    let under = freedom - 1.0;
    let interval = if under > 0.0 {
        let half = normal_quantile(0.975) * (factor / under).sqrt();
        ((r.atanh() - half).tanh(), (r.atanh() + half).tanh())
    } else {
        (f64::NAN, f64::NAN)
    };
    Correlation {
        r,
        interval,
        p: t_test(t, freedom),
        n,
    }
}

fn normal_quantile(q: f64) -> f64 {
    Normal::standard().inverse_cdf(q)
}

fn normal_test(z: f64) -> f64 {
    if z.is_nan() {
        f64::NAN
    } else {
        2.0 * Normal::standard().sf(z.abs())
    }
}
