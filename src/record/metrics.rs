//! The metrics of a run directory: `metrics/part-*.parquet`, one per checkpoint, and `metrics.parquet`, their join.
//!
//! A part is named by the step of the checkpoint that ended it. `metrics.parquet` knows the steps up to which it
//! holds the parts, and every reader ignores parts up to there: between the instant at which a new join is renamed
//! into place and the instant at which its parts are gone, no row counts twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::listing;
use super::parquet_file::{self, Cut, MetricsFile};
use super::row::MetricsRow;
use crate::error::{Error, Result};

/// Name of the joined file in a run directory.
pub(super) const JOINED: &str = "metrics.parquet";
/// Name of the folder with the parts.
pub(super) const PARTS: &str = "metrics";

/// All rows of a run directory, sorted by run, then by step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricsTable {
    /// Optimiser step of every row.
    pub steps: Vec<u64>,
    /// Run of every row.
    pub runs: Vec<u32>,
    /// The metrics by name, a value per row; NaN is "not measured".
    pub columns: BTreeMap<String, Vec<f64>>,
}

impl MetricsTable {
    /// The values of a column with the steps at which they were measured, of all runs.
    pub fn measured(&self, column: &str) -> impl Iterator<Item = (u64, f64)> {
        let values = self.columns.get(column).into_iter().flatten();
        self.steps
            .iter()
            .copied()
            .zip(values.copied())
            .filter(|(_, v)| !v.is_nan())
    }

    /// Adds the columns of a table that has other columns, row by row of the same run and step; rows of its own are added.
    pub fn join(&mut self, other: &Self) {
        let mut places: BTreeMap<(u32, u64), usize> = self
            .runs
            .iter()
            .copied()
            .zip(self.steps.iter().copied())
            .zip(0..)
            .collect();
        for key in other.runs.iter().copied().zip(other.steps.iter().copied()) {
            let rows = places.len();
            if *places.entry(key).or_insert(rows) == rows {
                self.runs.push(key.0);
                self.steps.push(key.1);
            }
        }
        let rows = self.steps.len();
        self.columns
            .values_mut()
            .for_each(|column| column.resize(rows, f64::NAN));
        for (name, values) in &other.columns {
            let column = self.columns.entry(name.clone()).or_insert_with(|| vec![f64::NAN; rows]);
            for (k, value) in values.iter().enumerate() {
                column[places[&(other.runs[k], other.steps[k])]] = *value;
            }
        }
        self.sort();
    }

    fn append(&mut self, file: MetricsFile) -> Result<()> {
        for batch in file.batches(u64::MAX)? {
            let batch = batch?;
            let before = self.steps.len();
            let (steps, runs): (Vec<u64>, Vec<u32>) = parquet_file::keys(&batch).unzip();
            self.steps.extend(steps);
            self.runs.extend(runs);
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                if matches!(field.name().as_str(), "step" | "run") {
                    continue;
                }
                let column = self.columns.entry(field.name().clone()).or_default();
                column.resize(before, f64::NAN);
                column.extend(parquet_file::floats(array));
            }
            let after = self.steps.len();
            self.columns
                .values_mut()
                .for_each(|column| column.resize(after, f64::NAN));
        }
        Ok(())
    }

    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        order.sort_by_key(|&i| (self.runs[i], self.steps[i]));
        if order.is_sorted() {
            return;
        }
        self.steps = order.iter().map(|&i| self.steps[i]).collect();
        self.runs = order.iter().map(|&i| self.runs[i]).collect();
        for column in self.columns.values_mut() {
            *column = order.iter().map(|&i| column[i]).collect();
        }
    }
}

/// Reads all metrics of a run directory, also of one that is being written.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if there are none, or a file is damaged.
pub fn read_metrics(dir: &Path) -> Result<MetricsTable> {
    // A run in progress may join its parts between our look at the names and our reading; then look again.
    for _ in 0..8 {
        if let Some(table) = try_read(dir)? {
            return Ok(table);
        }
    }
    Err(Error::io(dir.join(PARTS), "parts vanish while they are read"))
}

/// Writes rows as one file, which appears whole or not at all.
fn write_rows(path: &Path, columns: &[String], rows: &[MetricsRow]) -> Result<()> {
    let batch = parquet_file::batch_of(columns, rows);
    let schema = batch.schema();
    parquet_file::write(path, &schema, None, [Ok(batch)].into_iter())
}

/// Writes rows of run 0, each a step with its values by column, as one file; a value that a row lacks is null.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it cannot be written.
pub fn write_named_rows(path: &Path, rows: &[(u64, BTreeMap<String, f64>)]) -> Result<()> {
    let names: BTreeSet<&String> = rows.iter().flat_map(|(_, columns)| columns.keys()).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let rows: Vec<MetricsRow> = rows
        .iter()
        .map(|(step, columns)| MetricsRow {
            run: 0,
            step: *step,
            values: names
                .iter()
                .map(|name| columns.get(name).copied().unwrap_or(f64::NAN))
                .collect(),
        })
        .collect();
    write_rows(path, &names, &rows)
}

/// Reads what [`write_named_rows`] wrote; none where there is no such file.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it is damaged.
pub fn read_rows(path: &Path) -> Result<Option<MetricsTable>> {
    let Some(file) = MetricsFile::open(path)? else {
        return Ok(None);
    };
    let mut table = MetricsTable::default();
    table.append(file)?;
    table.sort();
    Ok(Some(table))
}

/// `None` if a part vanished meanwhile.
fn try_read(dir: &Path) -> Result<Option<MetricsTable>> {
    let mut table = MetricsTable::default();
    let joined = MetricsFile::open(&dir.join(JOINED))?;
    let mut through = None;
    let found_joined = joined.is_some();
    if let Some(file) = joined {
        through = file.cuts()?.last().map(|cut| cut.step);
        table.append(file)?;
    }
    let parts = parts_after(dir, through)?;
    if parts.is_empty() && !found_joined {
        return Err(Error::io(
            dir,
            format!("holds no metrics: neither {JOINED} nor {PARTS}/part-*.parquet"),
        ));
    }
    for (_, path) in parts {
        match MetricsFile::open(&path)? {
            Some(file) => table.append(file)?,
            None => return Ok(None),
        }
    }
    table.sort();
    Ok(Some(table))
}

/// Writes the rows since the last checkpoint as the part of the checkpoint at `step`; no rows, no part.
pub(super) fn write_part(dir: &Path, step: u64, columns: &[String], rows: &[MetricsRow]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    write_rows(&part_path(dir, step), columns, rows)
}

/// Joins all parts into `metrics.parquet` and removes them. Where `at_any_size` is not set, only once they hold at
/// least a quarter of the rows already joined: so every row is copied a bounded number of times, however long the run.
pub(super) fn join(dir: &Path, at_any_size: bool) -> Result<()> {
    let joined = MetricsFile::open(&dir.join(JOINED))?;
    let mut cuts = joined.as_ref().map_or(Ok(Vec::new()), MetricsFile::cuts)?;
    remove_parts(dir, |step| cuts.last().is_some_and(|cut| step <= cut.step))?;

    let mut sources = Vec::new();
    let joined_rows = joined.as_ref().map_or(0, MetricsFile::rows);
    sources.extend(joined);
    let mut part_rows = 0;
    for (step, path) in parts_after(dir, None)? {
        let file = MetricsFile::open(&path)?.ok_or_else(|| Error::io(&path, "vanished while it was joined"))?;
        let rows = file.rows();
        part_rows += rows;
        cuts.push(Cut { step, rows });
        sources.push(file);
    }
    if part_rows == 0 || (!at_any_size && part_rows < joined_rows / 4) {
        return Ok(());
    }
    copy(dir, sources, &cuts, u64::MAX)?;
    remove_parts(dir, |_| true)
}

/// Drops all rows later than the checkpoint at `step`; with `None`, there is no checkpoint and all rows go.
pub(super) fn truncate(dir: &Path, step: Option<u64>) -> Result<()> {
    let is_kept = |cut: u64| step.is_some_and(|step| cut <= step);
    remove_parts(dir, |cut| !is_kept(cut))?;
    let path = dir.join(JOINED);
    let Some(joined) = MetricsFile::open(&path)? else {
        return Ok(());
    };
    let cuts = joined.cuts()?;
    let kept: Vec<Cut> = cuts.iter().copied().filter(|cut| is_kept(cut.step)).collect();
    if kept.is_empty() {
        return listing::remove(&path);
    }
    if kept.len() == cuts.len() {
        return Ok(());
    }
    copy(dir, vec![joined], &kept, kept.iter().map(|cut| cut.rows).sum())
}

fn copy(dir: &Path, sources: Vec<MetricsFile>, cuts: &[Cut], limit: u64) -> Result<()> {
    let schema = parquet_file::union(sources.iter().map(MetricsFile::schema));
    let batches = sources.into_iter().flat_map(|file| match file.batches(limit) {
        Ok(batches) => Box::new(batches) as Box<dyn Iterator<Item = _>>,
        Err(e) => Box::new(std::iter::once(Err(e))),
    });
    parquet_file::write(&dir.join(JOINED), &schema, Some(cuts), batches)
}

fn part_path(dir: &Path, step: u64) -> PathBuf {
    dir.join(PARTS).join(format!("part-{step:08}.parquet"))
}

/// The parts of checkpoints after `through`, in order.
fn parts_after(dir: &Path, through: Option<u64>) -> Result<Vec<(u64, PathBuf)>> {
    let folder = dir.join(PARTS);
    let mut parts: Vec<(u64, PathBuf)> = listing::names(&folder)?
        .iter()
        .filter_map(|name| Some((listing::number_in(name, "part-", ".parquet")?, folder.join(name))))
        .filter(|(step, _)| through.is_none_or(|through| *step > through))
        .collect();
    parts.sort();
    Ok(parts)
}

fn remove_parts(dir: &Path, mut condition: impl FnMut(u64) -> bool) -> Result<()> {
    for (step, path) in parts_after(dir, None)? {
        if condition(step) {
            listing::remove(&path)?;
        }
    }
    Ok(())
}
