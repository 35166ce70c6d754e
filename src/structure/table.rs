//! The complete table of an operation, and what a network makes of it.

use std::sync::Arc;

use super::neurons::{Marginals, Neuron, read_neurons};
use super::weights::norms_of_neurons;
use crate::backend::Make;
use crate::config::LossKind;
use crate::data::{Samples, Source};
use crate::error::Result;
use crate::given::Given;
use crate::measure::numbers;
use crate::model::{Activation, ModelShape};
use crate::plan::{PlanBuilder, Segment};
use crate::task::{Cyclic, Examples};

/// Most pairs of one pass: bounds its memory.
const BAND: usize = 2048;

/// All pairs of elements of a cyclic group as examples: pair (x, y) at place x n + y.
#[derive(Debug, Clone)]
pub struct Table {
    /// The group.
    pub group: Arc<Cyclic>,
    /// The examples, with their labels as the run had them.
    pub examples: Examples,
    /// Which of them are trained on.
    pub trained: Vec<bool>,
    /// The loss of a sample.
    pub loss: LossKind,
}

impl Table {
    /// The table of an operation, from both splits of its examples.
    ///
    /// # Errors
    /// If the splits together are not all pairs of its elements.
    pub fn new(group: Cyclic, train: &Examples, test: &Examples, loss: LossKind) -> Result<Self> {
        group.check_complete(&[train, test])?;
        let n = group.order();
        let both = train.followed_by(test);
        let mut rows = vec![0; n * n];
        for row in 0..both.n {
            if let Some((x, y)) = group.operands(&both, row) {
                rows[x * n + y] = row as u32;
            }
        }
        Ok(Self {
            trained: rows.iter().map(|row| (*row as usize) < train.n).collect(),
            examples: both.select(&rows),
            group: Arc::new(group),
            loss,
        })
    }

    /// n, the order of the group.
    pub fn order(&self) -> usize {
        self.group.order()
    }

    /// The element that a pair's operands add up to.
    pub fn sum(&self, place: usize) -> usize {
        let n = self.order();
        self.group.combine(place / n, place % n)
    }

    /// x - y where the operation is x + y, and x + y where it is x - y.
    pub fn opposite(&self, place: usize) -> usize {
        let n = self.order();
        self.group.combine(place / n, (n - place % n) % n)
    }

    /// What a network makes of it.
    ///
    /// # Errors
    /// If the examples do not fit the network, or a device error.
    pub fn responses(&self, make: Make, shape: &ModelShape, weights: &[f64]) -> Result<Responses> {
        let all = self.examples.n;
        let band = all.min(BAND);
        let mut builder = PlanBuilder::new();
        let given = Given::new(&mut builder, shape);
        let net = &given.net;
        let mut samples = Samples::default();
        let batch = samples.batch(&mut builder, shape, Source::Train, 0..band);
        builder.segment(Segment::Evaluate);
        let forward = net.forward(&mut builder, batch);
        let hidden = net.hidden(&forward);
        let mut executor = make(Arc::new(builder.finish()?))?;
        given.upload(executor.as_mut(), weights)?;

        let classes = shape.classes();
        let mut logits = vec![0.0; all * classes];
        let mut marginals: Vec<Marginals> = hidden
            .iter()
            .map(|layer| Marginals::new(self.order(), layer.len() / band))
            .collect();
        // The last band begins early, so that it is as long as the others; what it repeats is not counted twice.
        for begin in (0..all).step_by(band) {
            let first = begin.min(all - band);
            let rows: Vec<u32> = (first as u32..(first + band) as u32).collect();
            let examples = self.examples.select(&rows);
            for fill in &samples.fills {
                let (buffer, values) = fill.values(&examples)?;
                executor.upload(0, buffer, &values)?;
            }
            executor.submit(&[Segment::Evaluate])?;
            let found = numbers(executor.as_mut(), forward.logits)?;
            logits[first * classes..(first + band) * classes].copy_from_slice(&found[..band * classes]);
            for (layer, marginals) in hidden.iter().zip(&mut marginals) {
                let start = layer.start();
                let values = numbers(executor.as_mut(), *layer)?;
                let values = &values[start..start + layer.len()];
                let new = (begin - first) * (layer.len() / band);
                marginals.add(self, begin, &values[new..]);
            }
        }
        Ok(Responses {
            logits,
            classes,
            neurons: read_neurons(&marginals, &norms_of_neurons(shape, weights), activation(shape)),
        })
    }
}

fn activation(shape: &ModelShape) -> Activation {
    match shape {
        ModelShape::Transformer(s) => s.activation,
        ModelShape::Mlp(s) => s.activation,
    }
}

/// What a network makes of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    /// `[n^2, V]`, row-major.
    pub logits: Vec<f64>,
    /// V.
    pub classes: usize,
    /// Every hidden neuron of every MLP, layer by layer, at the last position.
    pub neurons: Vec<Neuron>,
}
