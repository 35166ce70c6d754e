//! Which frequencies two networks use, and by how many neurons.

use std::collections::BTreeSet;

use crate::structure::neurons::{Neuron, cluster_shares, key_frequencies};

/// What two sets of neurons have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// Key frequencies of either side, ascending.
    pub keys: [Vec<usize>; 2],
    /// Key frequencies of both over those of either; none where there are none.
    pub jaccard: Option<f64>,
    /// Total variation between the shares of neurons in each cluster, those of no cluster being one more.
    pub by_number: f64,
    /// The same with neurons weighted by |w_in| |w_out|.
    pub by_norm: f64,
}

/// Compares neurons of networks that know a group of so many elements.
pub fn frequencies(a: &[Neuron], b: &[Neuron], order: usize) -> Frequencies {
    let keys = [key_frequencies(a), key_frequencies(b)];
    let [of_a, of_b] = [&keys[0], &keys[1]].map(|keys| keys.iter().copied().collect::<BTreeSet<usize>>());
    let (both, either) = (of_a.intersection(&of_b).count(), of_a.union(&of_b).count());
    let alike = |neurons: &[Neuron]| -> Vec<Neuron> { neurons.iter().map(|n| Neuron { norm: 1.0, ..*n }).collect() };
    let shares = |neurons: &[Neuron]| with_rest(cluster_shares(neurons, order));
    Frequencies {
        jaccard: (either > 0).then(|| both as f64 / either as f64),
        by_number: total_variation(&shares(&alike(a)), &shares(&alike(b))),
        by_norm: total_variation(&shares(a), &shares(b)),
        keys,
    }
}

/// The shares, and behind them what is left of 1.
fn with_rest(mut shares: Vec<f64>) -> Vec<f64> {
    let rest = 1.0 - shares.iter().sum::<f64>();
    shares.push(rest);
    shares
}

/// Half the sum of the differences between two distributions over the same things.
pub fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>()
}
