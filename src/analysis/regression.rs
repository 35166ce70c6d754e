//! Ordinary least squares, by the Householder QR of the design.

use faer::Mat;
use faer::linalg::solvers::SolveLstsq as _;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::series::mean;
use crate::error::{Error, Result};

/// A fit y = X b + e.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// b, in the order of the columns; the intercept first.
    pub coefficients: Vec<f64>,
    /// Their standard errors, from rss/(n - k) (X^T X)^-1.
    pub errors: Vec<f64>,
    /// Sum of squared residuals.
    pub rss: f64,
    /// 1 - rss / sum (y - mean y)^2.
    pub r2: f64,
    /// y - X b.
    pub residuals: Vec<f64>,
    /// Observations less coefficients.
    pub freedom: usize,
}

impl Fit {
    /// Confidence interval of coefficient `place`, by Student's t.
    pub fn interval(&self, place: usize, confidence: f64) -> (f64, f64) {
        let half = t_quantile(0.5 + confidence / 2.0, self.freedom as f64) * self.errors[place];
        (self.coefficients[place] - half, self.coefficients[place] + half)
    }
}

/// Quantile of Student's t; NaN where it has no degrees of freedom.
pub(super) fn t_quantile(q: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |t| t.inverse_cdf(q))
}

/// Two-sided p-value of a Student t; NaN where it has no degrees of freedom.
pub(super) fn t_test(t: f64, freedom: f64) -> f64 {
    if t.is_nan() {
        return f64::NAN;
    }
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |law| 2.0 * law.sf(t.abs()))
}

/// Fits y by an intercept and the given columns.
///
/// # Errors
/// If lengths differ, a value is not finite, there are not more observations than coefficients, or the columns are
/// linearly dependent.
pub fn fit(columns: &[&[f64]], y: &[f64]) -> Result<Fit> {
    let ones = vec![1.0; y.len()];
    let with_ones: Vec<&[f64]> = std::iter::once(&ones[..]).chain(columns.iter().copied()).collect();
    fit_exactly(&with_ones, y)
}

/// Fits y by the given columns and nothing else; R^2 is still about the mean of y.
///
/// # Errors
/// As [`fit`].
pub fn fit_exactly(columns: &[&[f64]], y: &[f64]) -> Result<Fit> {
    let (n, k) = (y.len(), columns.len());
    if let Some(column) = columns.iter().find(|column| column.len() != n) {
        return Err(Error::shape(format!(
            "a column of the design has {} values, expected {n}",
            column.len()
        )));
    }
    if n <= k {
        return Err(Error::numeric(format!(
            "{n} observations do not fit {k} coefficients, expected more than {k}"
        )));
    }
    if y.iter()
        .chain(columns.iter().copied().flatten())
        .any(|x| !x.is_finite())
    {
        return Err(Error::numeric("the regression's data are not all finite"));
    }
    // Columns of length 1, so that the judgement of dependence does not hang on units.
    let scales: Vec<f64> = columns
        .iter()
        .map(|column| column.iter().map(|x| x * x).sum::<f64>().sqrt())
        .collect();
    let dependent = || Error::numeric("the columns of the regression are linearly dependent");
    if scales.contains(&0.0) {
        return Err(dependent());
    }
    let design = Mat::from_fn(n, k, |i, j| columns[j][i] / scales[j]);
    let qr = design.qr();
    let r = qr.thin_R();
    if (0..k).any(|j| r[(j, j)].abs() < 1e-11) {
        return Err(dependent());
    }
    let solved = qr.solve_lstsq(Mat::from_fn(n, 1, |i, _| y[i]));
    let coefficients: Vec<f64> = (0..k).map(|j| solved[(j, 0)] / scales[j]).collect();
    let residuals: Vec<f64> = (0..n)
        .map(|i| y[i] - columns.iter().zip(&coefficients).map(|(x, b)| x[i] * b).sum::<f64>())
        .collect();
    let rss: f64 = residuals.iter().map(|e| e * e).sum();
    let centre = mean(y);
    let total: f64 = y.iter().map(|x| (x - centre).powi(2)).sum();
    let freedom = n - k;
    let noise = rss / freedom as f64;
    let errors = (0..k)
        .map(|j| {
            // Row j of R^-1: (X^T X)^-1_jj is its squared norm.
            let mut row = vec![0.0; k];
            for c in j..k {
                let sum: f64 = (j..c).map(|m| row[m] * r[(m, c)]).sum();
                row[c] = (f64::from(u8::from(c == j)) - sum) / r[(c, c)];
            }
            (noise * row.iter().map(|x| x * x).sum::<f64>()).sqrt() / scales[j]
        })
        .collect();
    Ok(Fit {
        coefficients,
        errors,
        rss,
        r2: 1.0 - rss / total,
        residuals,
        freedom,
    })
}
