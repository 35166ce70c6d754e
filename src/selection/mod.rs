//! Selection among training samples: which of them carry the change of a trait.
//!
//! Under gradient descent with learning rate 1 a trait x of the network changes, to first order, by the mean over samples of
//! `D_i = -grad x . g_i`, sample i's rate. With the norm |r_i| of the sample's residual (the derivative of its loss by its
//! logits) as fitness and `d_i = D_i/|r_i|`, the rate at equal residuals, as character,
//!
//! ```text
//! mean D_i  =  mean |r| mean d  +  Cov(|r|, d)
//! change       uniform             covariance: hard samples select
//! ```
//!
//! which is Price's equation without transmission, and in groups the covariance splits in two, between and within them
//! ([`price_in_groups`]). A minibatch B selects by chance: `mean over B of D_i - mean D_i = Cov(b_i/mean b, D_i)`, b_i telling
//! whether i is in B: drift, whose standard deviation over all batches of this size is `sd(D)/sqrt(m) sqrt(1 - m/n)`.
//!
//! A sample whose residual is exactly 0 has no d_i, and its rate is 0: it is left out and counted.

#[cfg(feature = "record")]
mod run;

#[cfg(feature = "record")]
pub use run::{Choice, FILE, read_selection, write_selection};

use crate::analysis::price::price_in_groups;
use crate::backend::Make;
use crate::config::LossKind;
use crate::error::{Error, Result};
use crate::measure::sample_gradients_on;
use crate::model::ModelShape;
use crate::task::Examples;

/// What each sample does to some traits.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// `[traits][N]`: D_i.
    pub rates: Vec<Vec<f64>>,
    /// `[N]`: |r_i|.
    pub residuals: Vec<f64>,
    /// `[N]`: losses.
    pub losses: Vec<f64>,
}

/// The change of a trait and its terms, per unit of the learning rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Samples that count.
    pub n: usize,
    /// mean D_i over them.
    pub change: f64,
    /// mean |r| mean d.
    pub uniform: f64,
    /// Cov(|r|, d).
    pub covariance: f64,
    /// For each grouping the covariance between groups, and within them.
    pub levels: Vec<[f64; 2]>,
}

/// What a minibatch does by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Mean rate of the batch less that of all.
    pub value: f64,
    /// Its standard deviation over all batches of this size.
    pub sd: f64,
}

/// Rates of the samples, for traits whose gradients `[traits][P]` are given.
///
/// # Errors
/// If the samples do not fit the network, or a device error.
pub fn rates(
    make: Make,
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    loss: LossKind,
    traits: &[Vec<f64>],
) -> Result<Rates> {
    let mut found = Rates {
        rates: vec![Vec::with_capacity(examples.n); traits.len()],
        residuals: Vec::with_capacity(examples.n),
        losses: Vec::with_capacity(examples.n),
    };
    sample_gradients_on(make, shape, weights, examples, loss, |_, sample| {
        for (rates, of) in found.rates.iter_mut().zip(traits) {
            let product: f64 = of.iter().zip(sample.gradient).map(|(a, b)| a * b).sum();
            rates.push(-product);
        }
        found.residuals.push(sample.residual);
        found.losses.push(sample.loss);
        Ok(())
    })?;
    Ok(found)
}

/// Takes a trait's change apart; each grouping gives every sample the label of its group.
///
/// # Errors
/// [`crate::ErrorKind::Shape`] if lengths differ; [`crate::ErrorKind::Numeric`] if no sample counts or a number is not finite.
pub fn select(rates: &[f64], residuals: &[f64], groupings: &[Vec<usize>]) -> Result<Selection> {
    if groupings
        .iter()
        .map(Vec::len)
        .chain([residuals.len()])
        .any(|len| len != rates.len())
    {
        return Err(Error::shape(format!(
            "{} rates, expected as many residuals and labels",
            rates.len()
        )));
    }
    let counts: Vec<usize> = (0..rates.len()).filter(|i| residuals[*i] != 0.0).collect();
    if counts.is_empty() {
        return Err(Error::numeric("all residuals are 0, expected one that is not"));
    }
    let n = counts.len();
    let residuals: Vec<f64> = counts.iter().map(|i| residuals[*i]).collect();
    let character: Vec<f64> = counts.iter().zip(&residuals).map(|(i, r)| rates[*i] / r).collect();
    let mean = residuals.iter().sum::<f64>() / n as f64;
    // Shares go from equal to those of the residuals, while the character of each stays.
    let equal = vec![1.0; n];
    let split = |groups: &[usize]| price_in_groups(&equal, &residuals, &character, &character, groups);
    let levels = groupings.iter().map(|grouping| {
        let groups: Vec<usize> = counts.iter().map(|i| grouping[*i]).collect();
        let split = split(&groups)?;
        Ok([mean * split.between, mean * split.within])
    });
    let total = split(&vec![0; n])?.total;
    Ok(Selection {
        n,
        change: counts.iter().map(|i| rates[*i]).sum::<f64>() / n as f64,
        uniform: mean * total.mean,
        covariance: mean * total.selection,
        levels: levels.collect::<Result<_>>()?,
    })
}

/// The drift of a batch, by whether each sample is in it; none if it has none of them or all.
pub fn drift(rates: &[f64], is_in: &[bool]) -> Option<Drift> {
    let n = rates.len();
    let inside: Vec<f64> = rates
        .iter()
        .zip(is_in)
        .filter(|(_, is_in)| **is_in)
        .map(|(x, _)| *x)
        .collect();
    let m = inside.len();
    if m == 0 || m == n {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let centre = mean(rates);
    let variance = rates.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / (n - 1) as f64;
    Some(Drift {
        value: mean(&inside) - centre,
        sd: (variance / m as f64 * (1.0 - m as f64 / n as f64)).sqrt(),
    })
}

/// Quarters of the samples by their losses, ties in their order: 0 the least, 3 the greatest.
pub fn quarters(losses: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|a, b| losses[*a].total_cmp(&losses[*b]));
    let mut labels = vec![0; losses.len()];
    for (place, sample) in order.into_iter().enumerate() {
        labels[sample] = 4 * place / losses.len();
    }
    labels
}
