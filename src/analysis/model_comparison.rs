//! Linear models of the same response against each other: by AICc, and by what they predict of groups left out.
//!
//! With n observations, k parameters (coefficients and the variance) and residual sum of squares rss, up to a constant
//! shared by all models of the same response:
//!
//! ```text
//! AICc = n ln(rss/n) + 2 k + 2 k (k + 1)/(n - k - 1)        weight = exp(-dAICc/2) / sum over models
//! BIC  = n ln(rss/n) + k ln n
//! ```
//!
//! Left-out prediction: for every group, all others fit the model and the group is predicted. `held_out_r2` is
//! 1 - sum (y - predicted)^2 / sum (y - mean of the others)^2; it may be negative.

use std::collections::BTreeSet;

use super::regression;
use super::series::mean;
use crate::error::{Error, Result};

/// A model: an intercept and these columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Columns of its design, without the intercept.
    pub columns: Vec<Vec<f64>>,
}

/// How a model did.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its name.
    pub name: String,
    /// Intercept, then coefficients of the columns.
    pub coefficients: Vec<f64>,
    /// Their standard errors.
    pub errors: Vec<f64>,
    /// Explained share of the variance.
    pub r2: f64,
    /// AICc.
    pub aicc: f64,
    /// AICc above the least of all models.
    pub delta: f64,
    /// Akaike weight.
    pub weight: f64,
    /// BIC.
    pub bic: f64,
    /// Root mean squared error on groups left out; NaN where one group or none is there.
    pub held_out_error: f64,
    /// 1 less the squared errors over those of the other groups' mean; NaN as well.
    pub held_out_r2: f64,
}

/// Ranks the models, best AICc first. `groups` has a label for each observation.
///
/// # Errors
/// If there are no models, lengths differ, a value is not finite, a design is degenerate (also without one of the
/// groups), a model leaves no error at all, or there are too few observations for AICc.
pub fn compare(y: &[f64], models: &[Model], groups: &[usize]) -> Result<Vec<Ranked>> {
    if models.is_empty() {
        return Err(Error::config("no models to compare"));
    }
    if groups.len() != y.len() {
        return Err(Error::shape(format!(
            "{} group labels for {} observations",
            groups.len(),
            y.len()
        )));
    }
    let mut ranked = models
        .iter()
        .map(|model| rank(y, model, groups))
        .collect::<Result<Vec<_>>>()?;
    ranked.sort_by(|a, b| a.aicc.total_cmp(&b.aicc));
    let best = ranked[0].aicc;
    let total: f64 = ranked.iter().map(|model| (-(model.aicc - best) / 2.0).exp()).sum();
    for model in &mut ranked {
        model.delta = model.aicc - best;
        model.weight = (-model.delta / 2.0).exp() / total;
    }
    Ok(ranked)
}

fn rank(y: &[f64], model: &Model, groups: &[usize]) -> Result<Ranked> {
    let named = |e: Error| Error::numeric(format!("model {}: {e}", model.name));
    let columns: Vec<&[f64]> = model.columns.iter().map(Vec::as_slice).collect();
    let fit = regression::fit(&columns, y).map_err(named)?;
    let n = y.len() as f64;
    let k = (columns.len() + 2) as f64;
    if n - k - 1.0 <= 0.0 {
        return Err(Error::numeric(format!(
            "model {}: {n} observations, expected more than {} for AICc",
            model.name,
            k + 1.0
        )));
    }
    if fit.rss <= 0.0 {
        return Err(Error::numeric(format!(
            "model {}: fits without any error, so that it has no likelihood",
            model.name
        )));
    }
    let deviance = n * (fit.rss / n).ln();
    let (held_out_error, held_out_r2) = held_out(y, &columns, groups).map_err(named)?;
    Ok(Ranked {
        name: model.name.clone(),
        aicc: deviance + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0),
        bic: deviance + k * n.ln(),
        delta: 0.0,
        weight: 0.0,
        r2: fit.r2,
        coefficients: fit.coefficients,
        errors: fit.errors,
        held_out_error,
        held_out_r2,
    })
}

fn held_out(y: &[f64], columns: &[&[f64]], groups: &[usize]) -> Result<(f64, f64)> {
    let labels: BTreeSet<usize> = groups.iter().copied().collect();
    if labels.len() < 2 {
        return Ok((f64::NAN, f64::NAN));
    }
    let (mut squares, mut about_mean) = (0.0, 0.0);
    for label in labels {
        let keep = |values: &[f64]| -> Vec<f64> {
            let pairs = values.iter().zip(groups);
            pairs.filter(|(_, group)| **group != label).map(|(x, _)| *x).collect()
        };
        let rest = keep(y);
        let kept: Vec<Vec<f64>> = columns.iter().map(|column| keep(column)).collect();
        let kept: Vec<&[f64]> = kept.iter().map(Vec::as_slice).collect();
        let fit = regression::fit(&kept, &rest)?;
        let centre = mean(&rest);
        for i in (0..y.len()).filter(|&i| groups[i] == label) {
            let predicted = columns
                .iter()
                .zip(&fit.coefficients[1..])
                .fold(fit.coefficients[0], |sum, (column, b)| sum + b * column[i]);
            squares += (y[i] - predicted).powi(2);
            about_mean += (y[i] - centre).powi(2);
        }
    }
    Ok(((squares / y.len() as f64).sqrt(), 1.0 - squares / about_mean))
}
