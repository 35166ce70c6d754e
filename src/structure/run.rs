//! The structure of a whole run, from the weights it kept.

use std::path::Path;

use super::columns::measure;
use super::neurons::key_frequencies;
use super::table::Table;
use crate::backend::Make;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::weights::{Overrides, read_weights};
use crate::record::{MetricsTable, kept_weights, read_rows, write_named_rows};
use crate::task::{Cyclic, Task};

/// Name of the file in a run directory: `step`, `run` and the columns `fourier.*` and `price.*`, a row for each step whose
/// weights were kept.
pub const FILE: &str = "structure.parquet";

/// Measures all weights that a run kept, writes [`FILE`], and returns how many there were and the key frequencies of the
/// last.
///
/// # Errors
/// If the run's operation adds in no cyclic group or its splits are not the complete table; if there are no weights, or a
/// file cannot be read or written.
pub fn write_structure(dir: &Path, make: Make) -> Result<(usize, Vec<usize>)> {
    let config = Config::from_file(&dir.join("config.toml"))?;
    let task = Task::new(&config.task, &config.model)?;
    let group = Cyclic::new(config.task.op, config.task.p)?;
    let table = Table::new(group, &task.train, &task.test, config.loss.kind)?;
    let kept = kept_weights(dir)?;
    let (_, last) = kept
        .last()
        .ok_or_else(|| Error::io(dir, "holds no weights yet, expected some in checkpoints or weights"))?;
    let (shape, weights) = read_weights(last, Overrides::default())?;
    let keys = key_frequencies(&table.responses(make, &shape, &weights)?.neurons);

    let mut rows = Vec::new();
    let mut before = None;
    for (step, path) in &kept {
        let (shape, weights) = read_weights(path, Overrides::default())?;
        let (columns, neurons) = measure(make, &table, (&shape, &weights), &keys, before.as_deref())?;
        rows.push((*step, columns));
        before = Some(neurons);
    }
    write_named_rows(&dir.join(FILE), &rows)?;
    Ok((rows.len(), keys))
}

/// The rows of [`FILE`] in a run directory; none where it was not written.
///
/// # Errors
/// If it is damaged.
pub fn read_structure(dir: &Path) -> Result<Option<MetricsTable>> {
    read_rows(&dir.join(FILE))
}
