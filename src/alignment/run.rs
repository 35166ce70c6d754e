//! Alignment and persistence along a run, from the weights it kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Covariance, Pairing, compare, covariance};
use crate::backend::Make;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::ModelShape;
use crate::model::weights::{Overrides, read_weights};
use crate::record::{MetricsTable, kept_weights, read_rows, write_named_rows};
use crate::task::{Task, gram_subset};

/// Name of the file in a run directory: `step`, `run` and the columns `alignment.*`.
pub const FILE: &str = "alignment.parquet";

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Steps k between two sets of weights.
    pub lags: Vec<u64>,
    /// Steps t at which alignment is measured are multiples of it.
    pub every: u64,
    /// Samples of the fixed seeded subset of the training split.
    pub samples: usize,
}

/// Measures at all steps for which the weights at some lag behind it were kept too; writes [`FILE`], and returns how many
/// such steps there are.
///
/// # Errors
/// If there are none; if a file cannot be read or written; as [`compare`].
pub fn write_alignment(dir: &Path, make: Make, choice: &Choice) -> Result<usize> {
    let config = Config::from_file(&dir.join("config.toml"))?;
    let task = Task::new(&config.task, &config.model)?;
    let subset = gram_subset(task.train.n, choice.samples, config.task.seed);
    let kept: BTreeMap<u64, PathBuf> = kept_weights(dir)?.into_iter().collect();
    let read = |step: u64| -> Result<(ModelShape, Vec<f64>)> { read_weights(&kept[&step], Overrides::default()) };

    let mut rows: Vec<(u64, BTreeMap<String, f64>)> = Vec::new();
    for step in kept.keys().copied().filter(|step| step.is_multiple_of(choice.every)) {
        let lags: Vec<u64> = choice
            .lags
            .iter()
            .copied()
            .filter(|lag| kept.contains_key(&(step + lag)))
            .collect();
        if lags.is_empty() {
            continue;
        }
        let (shape, before) = read(step)?;
        let mut columns = BTreeMap::new();
        for lag in lags {
            let (_, after) = read(step + lag)?;
            let pairing = compare(make, &shape, [&before, &after], &task.train, &subset, config.loss.kind)?;
            describe(&mut columns, &pairing, lag)?;
        }
        rows.push((step, columns));
    }
    if rows.is_empty() {
        let lags: Vec<String> = choice.lags.iter().map(ToString::to_string).collect();
        return Err(Error::io(
            dir,
            format!(
                "keeps no two sets of weights that lie {} steps apart with the first at a multiple of {}; \
                 train.weights_every is {}",
                lags.join(" or "),
                choice.every,
                config.train.weights_every
            ),
        ));
    }
    write_named_rows(&dir.join(FILE), &rows)?;
    Ok(rows.len())
}

/// The rows of [`FILE`] in a run directory; none where it was not written.
///
/// # Errors
/// If it is damaged.
pub fn read_alignment(dir: &Path) -> Result<Option<MetricsTable>> {
    read_rows(&dir.join(FILE))
}

fn describe(columns: &mut BTreeMap<String, f64>, pairing: &Pairing, lag: u64) -> Result<()> {
    columns.insert("alignment.mean".to_owned(), finite_mean(&pairing.alignment));
    columns.insert(
        format!("alignment.persistence.{lag}"),
        finite_mean(&pairing.persistence),
    );
    for (name, of) in [("persistence", &pairing.persistence), ("loss_fall", &pairing.loss_fall)] {
        let Covariance { n, value, null_sd } = covariance(&pairing.alignment, of)?;
        columns.insert(format!("alignment.{name}_covariance.{lag}"), value);
        columns.insert(format!("alignment.{name}_null_sd.{lag}"), null_sd);
        if name == "persistence" {
            columns.insert(format!("alignment.samples.{lag}"), n as f64);
        }
    }
    Ok(())
}

fn finite_mean(values: &[f64]) -> f64 {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len() as f64
}
