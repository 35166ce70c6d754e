//! The parts of the logits that depend on the operands through their sum alone, frequency by frequency.
//!
//! With z_i the logits of pair i `[V]` and s_i the element its operands add up to, A(s) = mean of z_i over the n pairs
//! with s_i = s, and A_k its part at frequency k: z's projection, along the pairs, on cos and sin of 2 pi k s_i/n.
//!
//! - **Restricted logits** of a set of frequencies: mean of A + sum over k of A_k(s). The restricted loss is their mean
//!   loss over all pairs, with the class of s as the label.
//! - **Excluded logits**: z_i - sum over k of A_k(s_i); the excluded loss is their mean loss over the training pairs with
//!   the labels they are trained on.
//! - **Cosine coefficient** of k: the scalar product of all logits with cos(2 pi k (s_i - e)/n) over pairs and the classes
//!   of elements e, that wave having norm 1. Over the norm of those logits it is the **cosine similarity**.
//! - **Spectrum**: mean square of A_k over the variance of the logits along the pairs, both summed over classes.

use super::table::{Responses, Table};
use super::waves::Waves;
use crate::config::LossKind;

/// The logits of a network by frequency.
#[derive(Debug, Clone)]
pub struct LogitWaves<'a> {
    table: &'a Table,
    responses: &'a Responses,
    waves: Waves,
    /// Mean of A: `[V]`.
    mean: Vec<f64>,
    /// Coefficient of A at each frequency from 1 on: `[floor(n/2)][V]`.
    coefficients: Vec<Vec<[f64; 2]>>,
    /// A: `[n, V]`.
    sums: Vec<f64>,
}

impl<'a> LogitWaves<'a> {
    /// Projects the logits.
    pub fn new(table: &'a Table, responses: &'a Responses) -> Self {
        let (n, classes) = (table.order(), responses.classes);
        let mut sums = vec![0.0; n * classes];
        for (place, row) in responses.logits.chunks_exact(classes).enumerate() {
            let sums = &mut sums[table.sum(place) * classes..][..classes];
            sums.iter_mut().zip(row).for_each(|(sum, z)| *sum += z / n as f64);
        }
        let waves = Waves::new(n);
        let coefficient = |k: usize, c: usize| waves.coefficient(k, |s| sums[s * classes + c]);
        Self {
            table,
            responses,
            mean: (0..classes).map(|c| coefficient(0, c)[0]).collect(),
            coefficients: waves
                .frequencies()
                .map(|k| (0..classes).map(|c| coefficient(k, c)).collect())
                .collect(),
            waves,
            sums,
        }
    }

    /// Sum over k of A_k(s): `[V]`.
    fn parts(&self, keys: &[usize], s: usize) -> Vec<f64> {
        let mut parts = vec![0.0; self.responses.classes];
        for &k in keys {
            for (part, c) in parts.iter_mut().zip(&self.coefficients[k - 1]) {
                *part += self.waves.part(k, *c, s);
            }
        }
        parts
    }

    /// Mean loss and accuracy of the restricted logits over all pairs.
    pub fn restricted(&self, keys: &[usize]) -> [f64; 2] {
        let n = self.table.order();
        let (mut loss, mut hits) = (0.0, 0.0);
        for s in 0..n {
            let mut logits = self.parts(keys, s);
            logits.iter_mut().zip(&self.mean).for_each(|(z, mean)| *z += mean);
            let label = self.table.group.class(s) as usize;
            loss += sample_loss(self.table.loss, &logits, label);
            hits += f64::from(u8::from(is_hit(&logits, label)));
        }
        [loss / n as f64, hits / n as f64]
    }

    /// Mean loss of the excluded logits over the training pairs; NaN without any.
    pub fn excluded(&self, keys: &[usize]) -> f64 {
        let parts: Vec<Vec<f64>> = (0..self.table.order()).map(|s| self.parts(keys, s)).collect();
        let classes = self.responses.classes;
        let (mut loss, mut count) = (0.0, 0.0);
        for (place, row) in self.responses.logits.chunks_exact(classes).enumerate() {
            if self.table.trained[place] {
                let parts = &parts[self.table.sum(place)];
                let logits: Vec<f64> = row.iter().zip(parts).map(|(z, part)| z - part).collect();
                loss += sample_loss(self.table.loss, &logits, self.table.examples.labels[place] as usize);
                count += 1.0;
            }
        }
        loss / count
    }

    /// Cosine coefficient of each frequency, and its cosine similarity: from frequency 1 on.
    pub fn cosines(&self) -> Vec<[f64; 2]> {
        let (n, classes) = (self.table.order(), self.responses.classes);
        let elements: Vec<usize> = (0..n).map(|e| self.table.group.class(e) as usize).collect();
        let rows = self.responses.logits.chunks_exact(classes);
        let square: f64 = rows
            .map(|row| elements.iter().map(|c| row[*c] * row[*c]).sum::<f64>())
            .sum();
        let coefficient = |k: usize| {
            let products = (0..n * n).map(|place| {
                let (s, e) = (place / n, place % n);
                self.sums[s * classes + elements[e]] * self.waves.cosine(k, s + n - e)
            });
            // Each s stands for n pairs; the wave's square sums to n^3/2 over pairs and elements, or n^3 where 2k = n.
            let norm = ((n * n * n) as f64 / self.waves.weight(k)).sqrt();
            products.sum::<f64>() * n as f64 / norm
        };
        self.waves
            .frequencies()
            .map(coefficient)
            .map(|c| [c, c / square.sqrt()])
            .collect()
    }

    /// Each frequency's share of the variance of the logits, from frequency 1 on; NaN where they do not vary.
    pub fn spectrum(&self) -> Vec<f64> {
        let (pairs, classes) = (self.table.examples.n, self.responses.classes);
        let logits = &self.responses.logits;
        let variance: f64 = (0..classes)
            .map(|c| {
                let of_class = || (0..pairs).map(|place| logits[place * classes + c] - self.mean[c]);
                of_class().map(|z| z * z).sum::<f64>() / pairs as f64
            })
            .sum();
        let power = |k: usize| -> f64 {
            let squares = self.coefficients[k - 1].iter().map(|[re, im]| re * re + im * im);
            self.waves.weight(k) * squares.sum::<f64>() / variance
        };
        self.waves.frequencies().map(power).collect()
    }
}

/// Frequencies above this share of all frequencies' power are counted.
pub const COUNTED: f64 = 0.05;

/// How many of the shares exceed [`COUNTED`] of their sum, and the Shannon entropy of the shares in nats.
pub fn diversity(shares: &[f64]) -> [f64; 2] {
    let total: f64 = shares.iter().sum();
    let counted = shares.iter().filter(|share| **share > COUNTED * total).count();
    let entropy = shares
        .iter()
        .map(|share| share / total)
        .filter(|q| *q > 0.0)
        .map(|q| -q * q.ln());
    if total > 0.0 {
        [counted as f64, entropy.sum()]
    } else {
        [f64::NAN; 2]
    }
}

/// Whether the label has the largest logit, and no other class the same.
fn is_hit(logits: &[f64], label: usize) -> bool {
    let others = logits.iter().enumerate().filter(|(c, _)| *c != label);
    others.map(|(_, z)| z).all(|z| logits[label] > *z)
}

/// The loss of one sample, as [`LossKind`] defines it; both cross-entropies are one in exact arithmetic.
fn sample_loss(kind: LossKind, logits: &[f64], label: usize) -> f64 {
    match kind {
        LossKind::CrossEntropy | LossKind::CrossEntropyNaive => {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum = |skipped: Option<usize>| -> f64 {
                let rest = logits.iter().enumerate().filter(|(c, _)| Some(*c) != skipped);
                rest.map(|(_, z)| (z - most).exp()).sum()
            };
            if logits[label] == most {
                sum(Some(label)).ln_1p()
            } else {
                most - logits[label] + sum(None).ln()
            }
        }
        LossKind::Mse => {
            let error = |(c, z): (usize, &f64)| (z - f64::from(u8::from(c == label))).powi(2);
            logits.iter().enumerate().map(error).sum::<f64>() / logits.len() as f64
        }
        LossKind::Stablemax => {
            let s = |z: f64| if z >= 0.0 { z + 1.0 } else { 1.0 / (1.0 - z) };
            logits.iter().map(|z| s(*z)).sum::<f64>().ln() - s(logits[label]).ln()
        }
    }
}
