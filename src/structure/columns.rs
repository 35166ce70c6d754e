//! The measures of one set of weights under the names of their columns.

use std::collections::BTreeMap;

use super::logits::{LogitWaves, diversity};
use super::neurons::{Neuron, cluster_shares, key_frequencies, mean_purity};
use super::table::{Responses, Table};
use super::{algorithm, population, weights};
use crate::backend::Make;
use crate::error::Result;
use crate::model::ModelShape;

/// Values by column; what is not defined is left out.
pub type Columns = BTreeMap<String, f64>;

/// Measures a network: all columns, and its neurons. `keys` are the key frequencies of the run's last weights, `before` the
/// neurons of the row before, if there is one.
///
/// # Errors
/// If the table does not fit the network, a device error, or as [`population::of_neurons`].
pub fn measure(
    make: Make,
    table: &Table,
    (shape, parameters): (&ModelShape, &[f64]),
    keys: &[usize],
    before: Option<&[Neuron]>,
) -> Result<(Columns, Vec<Neuron>)> {
    let responses = table.responses(make, shape, parameters)?;
    let mut columns = Columns::new();
    of_logits(&mut columns, table, &responses, keys);
    of_neurons(&mut columns, &responses.neurons, table.order());
    of_weights(&mut columns, table, shape, parameters);
    if let Some(symmetricity) = algorithm::gradient_symmetricity(make, table, shape, parameters)? {
        columns.insert("fourier.gradient_symmetricity".to_owned(), symmetricity);
    }
    if let Some(before) = before {
        let price = population::of_neurons(before, &responses.neurons)?;
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
    Ok((columns, responses.neurons))
}

fn of_logits(columns: &mut Columns, table: &Table, responses: &Responses, keys: &[usize]) {
    let waves = LogitWaves::new(table, responses);
    let spectrum = waves.spectrum();
    let [counted, entropy] = diversity(&spectrum);
    columns.insert("fourier.frequencies".to_owned(), counted);
    columns.insert("fourier.entropy".to_owned(), entropy);
    by_frequency(columns, "fourier.logits", spectrum);
    let cosines = waves.cosines();
    by_frequency(columns, "fourier.cosine", cosines.iter().map(|[c, _]| *c));
    by_frequency(columns, "fourier.similarity", cosines.iter().map(|[_, s]| *s));
    let irrelevance = algorithm::distance_irrelevance(table, responses);
    columns.insert("fourier.distance_irrelevance".to_owned(), irrelevance);
    for (name, keys) in [("current", &key_frequencies(&responses.neurons)[..]), ("final", keys)] {
        columns.insert(format!("fourier.keys_{name}"), keys.len() as f64);
        with_keys(columns, &waves, keys, name);
    }
    for key in keys {
        columns.insert(format!("fourier.excluded_loss_without.{key}"), waves.excluded(&[*key]));
    }
}

fn of_neurons(columns: &mut Columns, neurons: &[Neuron], order: usize) {
    columns.insert("fourier.purity".to_owned(), mean_purity(neurons));
    let shares = cluster_shares(neurons, order);
    columns.insert("fourier.clustered".to_owned(), shares.iter().sum());
    by_frequency(columns, "fourier.neurons", shares);
}

fn of_weights(columns: &mut Columns, table: &Table, shape: &ModelShape, parameters: &[f64]) {
    if let Some(rows) = weights::embedding(shape, parameters, &table.group) {
        columns.insert("fourier.gini_embed".to_owned(), weights::gini_of_components(&rows));
        by_frequency(columns, "fourier.embed", weights::spectrum(&rows));
    }
    if let Some(rows) = weights::unembedding(shape, parameters, &table.group) {
        columns.insert("fourier.gini_unembed".to_owned(), weights::gini_of_components(&rows));
    }
    if let Some(ratio) = weights::inverse_participation(shape, parameters, &table.group) {
        columns.insert("fourier.inverse_participation".to_owned(), ratio);
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
