//! Which frequency a neuron carries, and how purely.
//!
//! Let h(x, y) be a neuron's activation over all n^2 pairs. The part of it that frequency k holds is its projection on the
//! eight functions cos and sin of 2 pi k x/n, of 2 pi k y/n, and their four products (Nanda et al. 2301.05217). The
//! products span cos and sin of 2 pi k (x + y)/n and of 2 pi k (x - y)/n, so the projection is that of four marginals of
//! h: its means over the pairs with the same x, the same y, the same x + y and the same x - y. *Purity* is the largest
//! such part over frequencies, as a share of the variance of h; the *frequency* is where it is reached. A neuron that is
//! constant has purity 0 and no frequency.
//!
//! A neuron belongs to the *cluster* of its frequency from a purity of 0.85 on. A quadratic neuron that adds two waves of
//! one frequency, (cos(u) + cos(v))^2, has a fifth of its variance at twice that frequency, so its purity is 0.8: there
//! the threshold is 0.7.

use std::collections::BTreeSet;

use super::table::Table;
use super::waves::Waves;
use crate::model::Activation;

/// From this purity on, a neuron belongs to the cluster of its frequency.
pub fn threshold(activation: Activation) -> f64 {
    match activation {
        Activation::Relu | Activation::Gelu => 0.85,
        Activation::Quadratic => 0.7,
    }
}

/// A hidden neuron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neuron {
    /// The hidden layer it belongs to.
    pub layer: usize,
    /// The frequency with the largest share of its variance; 0 if it is constant.
    pub frequency: usize,
    /// That share.
    pub purity: f64,
    /// |w_in| |w_out|, the norms of its weights from below and to above: what rescaling a ReLU leaves as it is.
    pub norm: f64,
    /// The frequency whose cluster it belongs to.
    pub cluster: Option<usize>,
}

/// The frequencies that have a neuron in their cluster, ascending.
pub fn key_frequencies(neurons: &[Neuron]) -> Vec<usize> {
    let found: BTreeSet<usize> = neurons.iter().filter_map(|neuron| neuron.cluster).collect();
    found.into_iter().collect()
}

/// Each frequency's share of the neurons' norms, `[floor(n/2)]` from frequency 1 on: those of its cluster over all.
pub fn cluster_shares(neurons: &[Neuron], order: usize) -> Vec<f64> {
    let total: f64 = neurons.iter().map(|neuron| neuron.norm).sum();
    let mut shares = vec![0.0; order / 2];
    for neuron in neurons {
        if let Some(frequency) = neuron.cluster {
            shares[frequency - 1] += neuron.norm / total;
        }
    }
    shares
}

/// Mean purity, weighted by norms; NaN without neurons.
pub fn mean_purity(neurons: &[Neuron]) -> f64 {
    let total: f64 = neurons.iter().map(|neuron| neuron.norm).sum();
    neurons.iter().map(|neuron| neuron.norm * neuron.purity).sum::<f64>() / total
}

/// Sums of a layer's activations over pairs, less each neuron's activation at the first pair: nothing cancels where a
/// neuron hardly varies.
#[derive(Debug, Clone)]
pub(super) struct Marginals {
    order: usize,
    width: usize,
    first: Vec<f64>,
    /// Over the pairs with the same x, y, sum and opposite: `[4, n, width]`.
    sums: Vec<f64>,
    total: Vec<f64>,
    squares: Vec<f64>,
}

impl Marginals {
    pub fn new(order: usize, width: usize) -> Self {
        Self {
            order,
            width,
            first: Vec::new(),
            sums: vec![0.0; 4 * order * width],
            total: vec![0.0; width],
            squares: vec![0.0; width],
        }
    }

    /// Adds the activations `[…, width]` of the pairs from `place` on.
    pub fn add(&mut self, table: &Table, place: usize, activations: &[f64]) {
        let (n, width) = (self.order, self.width);
        for (place, row) in (place..).zip(activations.chunks_exact(width)) {
            if self.first.is_empty() {
                self.first = row.to_vec();
            }
            let lines = [place / n, place % n, table.sum(place), table.opposite(place)];
            let row: Vec<f64> = row.iter().zip(&self.first).map(|(h, first)| h - first).collect();
            for (marginal, line) in lines.into_iter().enumerate() {
                let sums = &mut self.sums[(marginal * n + line) * width..][..width];
                sums.iter_mut().zip(&row).for_each(|(sum, h)| *sum += h);
            }
            self.total.iter_mut().zip(&row).for_each(|(sum, h)| *sum += h);
            self.squares.iter_mut().zip(&row).for_each(|(sum, h)| *sum += h * h);
        }
    }

    /// Frequency and purity of a neuron.
    fn best(&self, waves: &Waves, neuron: usize) -> (usize, f64) {
        let n = self.order;
        let pairs = (n * n) as f64;
        let variance = self.squares[neuron] / pairs - (self.total[neuron] / pairs).powi(2);
        if variance <= 0.0 {
            return (0, 0.0);
        }
        let power = |k: usize| -> f64 {
            // At 2k = n, the waves along x + y and x - y are the same.
            let marginals = if 2 * k == n { 3 } else { 4 };
            let mean = |marginal: usize, s: usize| self.sums[(marginal * n + s) * self.width + neuron] / n as f64;
            (0..marginals).map(|m| waves.power(k, |s| mean(m, s))).sum()
        };
        let powers = waves.frequencies().map(|k| (k, power(k) / variance));
        powers.fold((0, 0.0), |best, found| if found.1 > best.1 { found } else { best })
    }
}

/// The neurons of all layers, from their marginals and norms.
pub(super) fn read_neurons(layers: &[Marginals], norms: &[Vec<f64>], activation: Activation) -> Vec<Neuron> {
    let pure = threshold(activation);
    let mut neurons = Vec::new();
    for (layer, (marginals, norms)) in layers.iter().zip(norms).enumerate() {
        let waves = Waves::new(marginals.order);
        neurons.extend(norms.iter().enumerate().map(|(neuron, norm)| {
            let (frequency, purity) = marginals.best(&waves, neuron);
            Neuron {
                layer,
                frequency,
                purity,
                norm: *norm,
                cluster: (purity >= pure).then_some(frequency),
            }
        }));
    }
    neurons
}
