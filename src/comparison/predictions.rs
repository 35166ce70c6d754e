//! How far two networks are one function: their logits and what they predict.

use super::frequencies::total_variation;
use crate::error::{Error, Result};

/// Logits of the same samples, `[N, V]` each, compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predictions {
    /// Share of samples whose largest logit belongs to the same class.
    pub agreement: f64,
    /// Root of the mean over samples of |z - z'|^2, the mean over classes taken out of either, to which a softmax is blind.
    pub distance: f64,
    /// Cosine between all those logits; none where one side is constant.
    pub cosine: Option<f64>,
    /// Mean total variation between the softmax distributions: 0 to 1.
    pub total_variation: f64,
}

/// Compares logits.
///
/// # Errors
/// [`crate::ErrorKind::Shape`] if there are none, or not as many on both sides.
pub fn predictions(a: &[f64], b: &[f64], classes: usize) -> Result<Predictions> {
    if a.len() != b.len() || a.is_empty() || classes == 0 || !a.len().is_multiple_of(classes) {
        return Err(Error::shape(format!(
            "{} and {} logits, expected as many of both, in rows of {classes}",
            a.len(),
            b.len()
        )));
    }
    let n = (a.len() / classes) as f64;
    let (mut same, mut variation) = (0.0, 0.0);
    let (mut apart, mut product, mut of_a, mut of_b) = (0.0, 0.0, 0.0, 0.0);
    for (a, b) in a.chunks_exact(classes).zip(b.chunks_exact(classes)) {
        same += f64::from(u8::from(largest(a) == largest(b)));
        variation += total_variation(&softmax(a), &softmax(b));
        for (a, b) in centred(a).into_iter().zip(centred(b)) {
            apart += (a - b) * (a - b);
            product += a * b;
            of_a += a * a;
            of_b += b * b;
        }
    }
    Ok(Predictions {
        agreement: same / n,
        distance: (apart / n).sqrt(),
        cosine: (of_a > 0.0 && of_b > 0.0).then(|| product / of_a.sqrt() / of_b.sqrt()),
        total_variation: variation / n,
    })
}

/// The first class with the largest logit.
pub(super) fn largest(logits: &[f64]) -> usize {
    let best = (0..logits.len()).rev().max_by(|i, j| logits[*i].total_cmp(&logits[*j]));
    best.unwrap_or(0)
}

fn centred(logits: &[f64]) -> Vec<f64> {
    let mean = logits.iter().sum::<f64>() / logits.len() as f64;
    logits.iter().map(|z| z - mean).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|z| (z - most).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| e / sum).collect()
}
