//! Do the samples whose gradients point along the others' keep their gradients, and are they learnt by the step?
//!
//! Between the weights at step t and at step t + k, for each sample i of a fixed subset of the training split:
//!
//! - **Alignment** a_i = cos(g_i(t), sum over j != i of g_j(t)), j running over the whole training split: with the others
//!   only, since a sample always agrees with a sum that it is part of.
//! - **Persistence** s_i = cos(g_i(t), g_i(t + k)).
//! - **Fall of the loss** f_i = loss_i(t) - loss_i(t + k). Under gradient descent f_i is to first order the learning rate times
//!   g_i . G, so that it goes with alignment *by construction*; persistence does not.
//!
//! What is reported is the covariance over samples of alignment with either, against samples paired at random: the standard
//! deviation of the covariance over all pairings is sd(a) sd(s)/sqrt(n - 1), with the standard deviations of the n samples as
//! a population (Pitman 1937). Samples with a gradient of exactly zero on either side are left out and counted.

#[cfg(feature = "record")]
mod run;

#[cfg(feature = "record")]
pub use run::{Choice, FILE, read_alignment, write_alignment};

use crate::backend::{Make, Precision};
use crate::config::LossKind;
use crate::error::{Error, Result};
use crate::measure::{Request, gradient_sum_on, per_sample_gradients_on};
use crate::model::ModelShape;
use crate::task::Examples;

/// Samples whose gradients are held at once: bounds the memory.
const BLOCK: usize = 32;

/// What was found of each sample; NaN where a gradient that it needs is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairing {
    /// a_i.
    pub alignment: Vec<f64>,
    /// s_i.
    pub persistence: Vec<f64>,
    /// f_i.
    pub loss_fall: Vec<f64>,
}

/// A covariance over samples, and what random pairings make of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covariance {
    /// Samples that count.
    pub n: usize,
    /// (1/n) sum of (x - mean x)(y - mean y).
    pub value: f64,
    /// Standard deviation of the same over all ways to pair x with y. Their mean is 0.
    pub null_sd: f64,
}

/// Compares the gradients of the samples `rows` of a training split at two sets of weights.
///
/// # Errors
/// If there are no samples or they do not fit, or a device error.
pub fn compare(
    make: Make,
    shape: &ModelShape,
    [before, after]: [&[f64]; 2],
    train: &Examples,
    rows: &[u32],
    loss: LossKind,
) -> Result<Pairing> {
    // Of which only the loss counts where gradients are asked for.
    let request = Request {
        precision: Precision::F64,
        loss,
        properties: Vec::new(),
        group: None,
        spectrum: false,
        gram: false,
        grams: Vec::new(),
        probes: None,
    };
    let examples = train.select(rows);
    let (sum, _) = gradient_sum_on(make, shape, before, train, loss)?;
    let losses = |weights: &[f64]| gradient_sum_on(make, shape, weights, &examples, loss).map(|(_, losses)| losses);
    let (first_losses, second_losses) = (losses(before)?, losses(after)?);
    let mut pairing = Pairing {
        alignment: Vec::with_capacity(examples.n),
        persistence: Vec::with_capacity(examples.n),
        loss_fall: first_losses.iter().zip(&second_losses).map(|(a, b)| a - b).collect(),
    };
    for start in (0..examples.n).step_by(BLOCK) {
        let rows: Vec<u32> = (start..examples.n.min(start + BLOCK)).map(|row| row as u32).collect();
        let block = examples.select(&rows);
        let mut first: Vec<Vec<f64>> = Vec::with_capacity(BLOCK);
        per_sample_gradients_on(make, shape, before, &block, &request, |_, gradient| {
            let others: Vec<f64> = sum.iter().zip(gradient).map(|(sum, g)| sum - g).collect();
            pairing.alignment.push(cosine(gradient, &others));
            first.push(gradient.to_vec());
            Ok(())
        })?;
        per_sample_gradients_on(make, shape, after, &block, &request, |k, gradient| {
            pairing.persistence.push(cosine(&first[k], gradient));
            Ok(())
        })?;
    }
    Ok(pairing)
}

/// The cosine between two vectors, scaled so that no square underflows; NaN where one is 0.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let largest = |x: &[f64]| x.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let (in_a, in_b) = (largest(a), largest(b));
    if in_a == 0.0 || in_b == 0.0 {
        return f64::NAN;
    }
    let (mut product, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a / in_a, b / in_b);
        product += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    product / (of_a * of_b).sqrt()
}

/// The covariance of x and y over the places where both are finite; NaN with fewer than two.
///
/// # Errors
/// [`crate::ErrorKind::Shape`] if lengths differ.
pub fn covariance(x: &[f64], y: &[f64]) -> Result<Covariance> {
    if x.len() != y.len() {
        return Err(Error::shape(format!(
            "{} values and {}, expected as many of both",
            x.len(),
            y.len()
        )));
    }
    let pairs: Vec<(f64, f64)> = x
        .iter()
        .copied()
        .zip(y.iter().copied())
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let n = pairs.len();
    let mean = |value: fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>() / n as f64;
    let (mean_x, mean_y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut value, mut of_x, mut of_y) = (0.0, 0.0, 0.0);
    for (x, y) in &pairs {
        let (x, y) = (x - mean_x, y - mean_y);
        value += x * y / n as f64;
        of_x += x * x / n as f64;
        of_y += y * y / n as f64;
    }
    let few = n < 2;
    Ok(Covariance {
        n,
        value: if few { f64::NAN } else { value },
        null_sd: if few {
            f64::NAN
        } else {
            (of_x * of_y / (n - 1) as f64).sqrt()
        },
    })
}
