//! Selection among the training samples along a run, from the weights it kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{drift, quarters, rates, select};
use crate::backend::Make;
use crate::config::{Batch, Config};
use crate::error::{Error, Result};
use crate::measure::gradient_sum_on;
use crate::model::ModelShape;
use crate::model::weights::{Overrides, read_weights};
use crate::random::batch_index;
use crate::record::{MetricsTable, kept_weights, read_rows, write_named_rows};
use crate::task::{Examples, Task, gram_subset};

/// Name of the file in a run directory: `step`, `run` and the columns `price.samples.*`.
pub const FILE: &str = "selection.parquet";
/// Into how many parts the circle of a frequency's phases is cut.
const PHASES: usize = 8;

/// What is taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Steps are multiples of it.
    pub every: u64,
    /// Samples of the fixed seeded subset of the training split: the population.
    pub samples: usize,
    /// A frequency whose phases at the label group the samples as well.
    pub frequency: Option<u32>,
}

/// Measures at all steps whose weights were kept; writes [`FILE`], and returns how many such steps there are.
///
/// # Errors
/// If there are none; if a file cannot be read or written; as [`rates`] and [`select`].
pub fn write_selection(dir: &Path, make: Make, choice: &Choice) -> Result<usize> {
    let config = Config::from_file(&dir.join("config.toml"))?;
    let task = Task::new(&config.task, &config.model)?;
    let subset = gram_subset(task.train.n, choice.samples, config.task.seed);
    let population = Population {
        examples: task.train.select(&subset),
        subset: &subset,
        config: &config,
        task: &task,
        frequency: choice.frequency,
    };
    let mut rows = Vec::new();
    for (step, path) in kept_weights(dir)? {
        if step.is_multiple_of(choice.every) {
            let (shape, weights) = read_weights(&path, Overrides::default())?;
            rows.push((step, population.columns(make, &shape, &weights, step)?));
        }
    }
    if rows.is_empty() {
        return Err(Error::io(
            dir,
            format!("keeps no weights at a multiple of step {}", choice.every),
        ));
    }
    write_named_rows(&dir.join(FILE), &rows)?;
    Ok(rows.len())
}

/// The rows of [`FILE`] in a run directory; none where it was not written.
///
/// # Errors
/// If it is damaged.
pub fn read_selection(dir: &Path) -> Result<Option<MetricsTable>> {
    read_rows(&dir.join(FILE))
}

struct Population<'a> {
    examples: Examples,
    subset: &'a [u32],
    config: &'a Config,
    task: &'a Task,
    frequency: Option<u32>,
}

impl Population<'_> {
    fn columns(&self, make: Make, shape: &ModelShape, weights: &[f64], step: u64) -> Result<BTreeMap<String, f64>> {
        let loss = self.config.loss.kind;
        let mut names = vec!["half_norm2"];
        let mut gradients = vec![weights.to_vec()];
        for (name, split) in [("train_loss", &self.task.train), ("test_loss", &self.task.test)] {
            if split.n > 0 {
                let (sum, _) = gradient_sum_on(make, shape, weights, split, loss)?;
                gradients.push(sum.iter().map(|x| x / split.n as f64).collect());
                names.push(name);
            }
        }
        let found = rates(make, shape, weights, &self.examples, loss, &gradients)?;
        let mut groupings = vec![("class", self.classes())];
        groupings.push(("loss_quarter", quarters(&found.losses)));
        if let Some(k) = self.frequency {
            groupings.push(("phase", self.phases(k)));
        }
        let labels: Vec<Vec<usize>> = groupings.iter().map(|(_, labels)| labels.clone()).collect();
        let mut columns = BTreeMap::new();
        let residuals = &found.residuals;
        let mut put = |name: String, value: f64| columns.insert(format!("price.samples.{name}"), value);
        let counted = residuals.iter().filter(|r| **r != 0.0).count();
        put("count".to_owned(), counted as f64);
        put(
            "residual".to_owned(),
            residuals.iter().sum::<f64>() / residuals.len() as f64,
        );
        let is_in = self.batch(step);
        for (name, rates) in names.iter().zip(&found.rates) {
            // With no residual there is nothing to take apart.
            if counted > 0 {
                let selection = select(rates, residuals, &labels)?;
                put(format!("{name}.change"), selection.change);
                put(format!("{name}.uniform"), selection.uniform);
                put(format!("{name}.covariance"), selection.covariance);
                for ((grouping, _), [between, within]) in groupings.iter().zip(selection.levels) {
                    put(format!("{name}.between.{grouping}"), between);
                    put(format!("{name}.within.{grouping}"), within);
                }
            }
            if let Some(drift) = drift(rates, &is_in) {
                put(format!("{name}.drift"), drift.value);
                put(format!("{name}.drift_sd"), drift.sd);
            }
        }
        Ok(columns)
    }

    fn classes(&self) -> Vec<usize> {
        self.examples.labels.iter().map(|label| *label as usize).collect()
    }

    /// Which part of the circle k label/p lies in.
    fn phases(&self, k: u32) -> Vec<usize> {
        let p = u64::from(self.config.task.p);
        let phase = |label: &u32| u64::from(k) * u64::from(*label) % p * PHASES as u64 / p;
        self.examples.labels.iter().map(|label| phase(label) as usize).collect()
    }

    /// Whether each sample is in the minibatch of the step; none is where batches are full.
    fn batch(&self, step: u64) -> Vec<bool> {
        let Batch::Size(size) = self.config.optimizer.batch else {
            return vec![false; self.subset.len()];
        };
        let (n, seed) = (self.task.train.n as u32, self.config.task.seed);
        let members: BTreeSet<u32> = (0..size as u32)
            .map(|place| batch_index(step, place, size as u32, n, seed))
            .collect();
        self.subset.iter().map(|sample| members.contains(sample)).collect()
    }
}
