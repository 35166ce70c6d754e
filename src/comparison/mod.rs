//! How alike two networks are, on the same examples: what their layers see, the spaces that their weights use, the
//! frequencies of their neurons, their weights, and the functions that they are.
//!
//! | what | where | source |
//! |---|---|---|
//! | linear CKA, SVCCA | [`representation`] | Kornblith et al. 1905.00414; Raghu et al. 1706.05806 |
//! | principal angles | [`subspace`] | Björck and Golub 1973 |
//! | key frequencies and neurons by frequency | [`frequencies`] | [`crate::structure`] |
//! | distance and cosine by tensor group | [`weights`] | |
//! | agreement, distance of logits | [`predictions`] | |
//!
//! Everything is computed on the host in f64. Formulas and keys: `docs/comparison.md`.

mod activations;
mod frequencies;
mod matrix;
mod predictions;
pub mod representation;
#[cfg(feature = "record")]
mod run;
pub mod subspace;
pub mod weights;

use std::collections::BTreeMap;

pub use activations::{Activations, activations};
pub use frequencies::{Frequencies, frequencies, total_variation};
pub use matrix::{Directions, Matrix};
pub use predictions::{Predictions, predictions};
#[cfg(feature = "record")]
pub use run::{Checkpoint, find_weights};

use crate::backend::Make;
use crate::error::{Error, Result};
use crate::model::{Layout, ModelShape};
use crate::structure::Table;
use crate::task::Examples;

/// What two networks are compared on.
#[derive(Debug, Clone)]
pub struct Ground<'a> {
    /// The samples.
    pub examples: &'a Examples,
    /// The complete table of their operation, where it adds in a cyclic group.
    pub table: Option<&'a Table>,
    /// Leading directions between which principal angles are taken.
    pub directions: usize,
}

/// How alike two networks are.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Every number by its key; none where it is not defined.
    pub scalars: BTreeMap<String, Option<f64>>,
    /// Principal angles by the name of the space, in radians, ascending.
    pub angles: BTreeMap<&'static str, Vec<f64>>,
    /// Key frequencies of both, where there is a table.
    pub keys: Option<[Vec<usize>; 2]>,
}

/// Compares two networks.
///
/// Layers are compared where both networks have one of that name; weights where the networks have the same shape; spaces
/// where their ambient spaces, tokens or classes, are the same.
///
/// # Errors
/// If the examples fit one of the networks only or there are none, or a device error.
pub fn compare(make: Make, a: (&ModelShape, &[f64]), b: (&ModelShape, &[f64]), ground: &Ground) -> Result<Comparison> {
    let classes = a.0.classes();
    if b.0.classes() != classes {
        return Err(Error::shape(format!(
            "the networks have {classes} and {} classes, expected as many of both",
            b.0.classes()
        )));
    }
    let mut found = Comparison {
        scalars: BTreeMap::new(),
        angles: BTreeMap::new(),
        keys: None,
    };
    let [of_a, of_b] = [a, b].map(|(shape, weights)| activations(make, shape, weights, ground.examples));
    let (of_a, of_b) = (of_a?, of_b?);
    found.of_activations(&of_a, &of_b)?;
    found.of_function(&of_a.logits, &of_b.logits, &ground.examples.labels)?;
    found.of_weights(a, b);
    found.of_spaces(a, b, ground.directions)?;
    if let Some(table) = ground.table {
        let [of_a, of_b] = [a, b].map(|(shape, weights)| table.responses(make, shape, weights));
        let alike = frequencies(&of_a?.neurons, &of_b?.neurons, table.order());
        found.put("frequencies.jaccard", alike.jaccard);
        found.put("frequencies.total_variation", Some(alike.by_number));
        found.put("frequencies.total_variation_norm", Some(alike.by_norm));
        found.keys = Some(alike.keys);
    }
    Ok(found)
}

impl Comparison {
    fn put(&mut self, name: impl Into<String>, value: Option<f64>) {
        self.scalars.insert(name.into(), value.filter(|x| x.is_finite()));
    }

    fn of_activations(&mut self, a: &Activations, b: &Activations) -> Result<()> {
        for (name, x) in &a.sites {
            let Some((_, y)) = b.sites.iter().find(|(other, _)| other == name) else {
                continue;
            };
            self.put(format!("cka.{name}"), representation::cka(x, y)?);
            let correlation = representation::svcca(x, y, representation::EXPLAINED)?;
            self.put(format!("svcca.{name}"), correlation);
        }
        self.put("cka.logits", representation::cka(&a.logits, &b.logits)?);
        let correlation = representation::svcca(&a.logits, &b.logits, representation::EXPLAINED)?;
        self.put("svcca.logits", correlation);
        Ok(())
    }

    fn of_function(&mut self, a: &Matrix, b: &Matrix, labels: &[u32]) -> Result<()> {
        let alike = predictions(&a.values, &b.values, a.cols)?;
        self.put("function.agreement", Some(alike.agreement));
        self.put("function.distance", Some(alike.distance));
        self.put("function.cosine", alike.cosine);
        self.put("function.total_variation", Some(alike.total_variation));
        for (name, logits) in [("a", a), ("b", b)] {
            let rows = logits.values.chunks_exact(logits.cols).zip(labels);
            let hits = rows.filter(|(row, label)| predictions::largest(row) == **label as usize);
            self.put(
                format!("accuracy.{name}"),
                Some(hits.count() as f64 / logits.rows as f64),
            );
        }
        Ok(())
    }

    fn of_weights(&mut self, a: (&ModelShape, &[f64]), b: (&ModelShape, &[f64])) {
        let layout = Layout::new(a.0);
        if layout != Layout::new(b.0) {
            return;
        }
        for (group, apart) in weights::separations(&layout, a.1, b.1) {
            self.put(format!("weights.{group}.distance"), Some(apart.distance));
            self.put(format!("weights.{group}.cosine"), apart.cosine);
            self.put(format!("weights.{group}.norm_ratio"), apart.norm_ratio);
        }
    }

    fn of_spaces(&mut self, a: (&ModelShape, &[f64]), b: (&ModelShape, &[f64]), count: usize) -> Result<()> {
        let embeddings = [weights::embedding(a.0, a.1)?, weights::embedding(b.0, b.1)?];
        let unembeddings = [
            Some(weights::unembedding(a.0, a.1)?),
            Some(weights::unembedding(b.0, b.1)?),
        ];
        let neurons = [
            weights::neurons_to_logits(a.0, a.1)?,
            weights::neurons_to_logits(b.0, b.1)?,
        ];
        for (name, pair) in [
            ("embedding", embeddings),
            ("unembedding", unembeddings),
            ("neurons_to_logits", neurons),
        ] {
            let [Some(x), Some(y)] = pair else { continue };
            if x.rows != y.rows {
                continue;
            }
            let angles = subspace::principal_angles(&x, &y, count)?;
            let shared = angles.iter().map(|angle| angle.cos().powi(2)).sum::<f64>();
            self.put(format!("angles.{name}.overlap"), Some(shared / angles.len() as f64));
            self.put(format!("angles.{name}.largest"), angles.last().copied());
            self.angles.insert(name, angles);
        }
        Ok(())
    }
}
