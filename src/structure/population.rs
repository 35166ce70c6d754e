//! Neurons as a population: which of a change in mean purity is growth of purer neurons, which is neurons getting purer.
//!
//! Every hidden neuron is a unit, its weight |w_in| |w_out| and its trait its purity; groups are the clusters of the
//! frequencies before the step, with the neurons of no cluster as group 0. [`crate::analysis::price`] splits the change
//! between two sets of weights. The split depends on how far they lie apart: fix the interval, and sum.

use super::neurons::Neuron;
use crate::analysis::price::{Multilevel, price_in_groups};
use crate::error::Result;

/// The change of mean purity from one set of weights to the next.
///
/// # Errors
/// As [`crate::analysis::price::price`]: if the norms of one side are all 0, or there are other neurons on the other.
pub fn of_neurons(before: &[Neuron], after: &[Neuron]) -> Result<Multilevel> {
    let norms = |neurons: &[Neuron]| -> Vec<f64> { neurons.iter().map(|neuron| neuron.norm).collect() };
    let traits = |neurons: &[Neuron]| -> Vec<f64> { neurons.iter().map(|neuron| neuron.purity).collect() };
    let groups: Vec<usize> = before.iter().map(|neuron| neuron.cluster.unwrap_or(0)).collect();
    price_in_groups(&norms(before), &norms(after), &traits(before), &traits(after), &groups)
}
