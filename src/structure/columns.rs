//! The measures of one set of weights under the names of their columns.

use std::collections::BTreeMap;

use super::logits::{LogitWaves, diversity};
use super::neurons::{self, Neuron, key_frequencies, mean_purity};
use super::table::{Responses, Table};
use super::{algorithm, population, weights};
use crate::backend::Make;
use crate::error::Result;
use crate::model::ModelShape;

/// Values by column; what is not defined is left out.
pub type Columns = BTreeMap<String, f64>;

/// A network at one step.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Updates made.
    pub step: u64,
    /// What it makes of the table.
    pub responses: Responses,
    /// What needs no other step.
    columns: Columns,
}

impl Snapshot {
    /// Measures a network.
    ///
    /// # Errors
    /// If the table does not fit the network, or a device error.
    pub fn new(make: Make, table: &Table, shape: &ModelShape, parameters: &[f64], step: u64) -> Result<Self> {
        let responses = table.responses(make, shape, parameters)?;
        let mut columns = Columns::new();
        let waves = LogitWaves::new(table, &responses);
        let spectrum = waves.spectrum();
        let [counted, entropy] = diversity(&spectrum);
        columns.insert("fourier.frequencies".to_owned(), counted);
        columns.insert("fourier.entropy".to_owned(), entropy);
        columns.insert("fourier.purity".to_owned(), mean_purity(&responses.neurons));
        columns.insert(
            "fourier.distance_irrelevance".to_owned(),
            algorithm::distance_irrelevance(table, &responses),
        );
        by_frequency(&mut columns, "fourier.logits", spectrum);
        let cosines = waves.cosines();
        by_frequency(&mut columns, "fourier.cosine", cosines.iter().map(|[c, _]| *c));
        by_frequency(&mut columns, "fourier.similarity", cosines.iter().map(|[_, s]| *s));
        let shares = neurons::cluster_shares(&responses.neurons, table.order());
        columns.insert("fourier.clustered".to_owned(), shares.iter().sum());
        by_frequency(&mut columns, "fourier.neurons", shares);

        if let Some(rows) = weights::embedding(shape, parameters, &table.group) {
            columns.insert("fourier.gini_embed".to_owned(), weights::gini_of_components(&rows));
            by_frequency(&mut columns, "fourier.embed", weights::spectrum(&rows));
        }
        if let Some(rows) = weights::unembedding(shape, parameters, &table.group) {
            columns.insert("fourier.gini_unembed".to_owned(), weights::gini_of_components(&rows));
        }
        if let Some(ratio) = weights::inverse_participation(shape, parameters, &table.group) {
            columns.insert("fourier.inverse_participation".to_owned(), ratio);
        }
        if let Some(symmetricity) = algorithm::gradient_symmetricity(make, table, shape, parameters)? {
            columns.insert("fourier.gradient_symmetricity".to_owned(), symmetricity);
        }
        let keys = key_frequencies(&responses.neurons);
        columns.insert("fourier.keys_current".to_owned(), keys.len() as f64);
        with_keys(&mut columns, &waves, &keys, "current");
        Ok(Self {
            step,
            responses,
            columns,
        })
    }

    /// All columns, with the key frequencies of the end and the snapshot before, if there is one.
    ///
    /// # Errors
    /// As [`population::of_neurons`].
    pub fn columns(&self, table: &Table, keys: &[usize], before: Option<&[Neuron]>) -> Result<Columns> {
        let mut columns = self.columns.clone();
        let waves = LogitWaves::new(table, &self.responses);
        columns.insert("fourier.keys_final".to_owned(), keys.len() as f64);
        with_keys(&mut columns, &waves, keys, "final");
        for key in keys {
            columns.insert(format!("fourier.excluded_loss_without.{key}"), waves.excluded(&[*key]));
        }
        if let Some(before) = before {
            let price = population::of_neurons(before, &self.responses.neurons)?;
            for (name, value) in [
                ("change", price.total.change),
                ("selection", price.total.selection),
                ("transmission", price.total.transmission),
                ("between", price.between),
                ("within", price.within),
                ("identity_error", price.identity_error()),
            ] {
                columns.insert(format!("price.neurons.{name}"), value);
            }
        }
        Ok(columns)
    }
}

/// Losses of the parts of the logits at some frequencies; none without any.
fn with_keys(columns: &mut Columns, waves: &LogitWaves<'_>, keys: &[usize], name: &str) {
    if keys.is_empty() {
        return;
    }
    let [loss, accuracy] = waves.restricted(keys);
    columns.insert(format!("fourier.restricted_loss_{name}"), loss);
    columns.insert(format!("fourier.restricted_accuracy_{name}"), accuracy);
    columns.insert(format!("fourier.excluded_loss_{name}"), waves.excluded(keys));
}

fn by_frequency(columns: &mut Columns, name: &str, values: impl IntoIterator<Item = f64>) {
    for (frequency, value) in (1..).zip(values) {
        columns.insert(format!("{name}.{frequency}"), value);
    }
}
