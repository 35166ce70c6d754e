//! The table of a sweep's runs: a row for each that ended, in `runs.parquet`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::axis::number;
use super::directory::SweepDirectory;
use super::spec::{SweepRun, SweepSpec};
use super::summary::summary;
use super::twins::compare_twins;
use crate::config::key_names;
use crate::error::{Error, Result};
use crate::record::{is_finished, read_json, read_metrics, read_run_info, write_json, write_table};

/// Name of the table in a sweep's directory.
pub const RUNS: &str = "runs.parquet";
/// Name of the file in a run's directory that keeps its row.
const SUMMARY: &str = "summary.json";
/// The results that come first, and are there even if no run has them; others follow by name.
const FIRST: [(&str, Kind); 14] = [
    ("ended", Kind::Text),
    ("steps", Kind::Whole),
    ("memorised", Kind::Whole),
    ("grokked", Kind::Whole),
    ("gap", Kind::Whole),
    ("censored", Kind::Flag),
    ("collapsed", Kind::Whole),
    ("held_500", Kind::Whole),
    ("equilibrium", Kind::Text),
    ("period", Kind::Number),
    ("period_false_alarm", Kind::Number),
    ("period_significant", Kind::Flag),
    ("loss_amplitude", Kind::Number),
    ("norm_amplitude", Kind::Number),
];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Whole,
    Number,
    Text,
}

impl Kind {
    /// The one kind that all values are of; text where they are of several.
    fn of<'a>(mut values: impl Iterator<Item = &'a Value>) -> Option<Self> {
        let kind = |value: &Value| match value {
            Value::Bool(_) => Self::Flag,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Whole,
            _ => Self::Text,
        };
        let first = kind(values.next()?);
        Some(values.fold(first, |known, value| match (known, kind(value)) {
            (known, other) if known == other => known,
            (Self::Whole | Self::Number, Self::Whole | Self::Number) => Self::Number,
            _ => Self::Text,
        }))
    }

    fn column<'a>(self, values: impl Iterator<Item = Option<&'a Value>>) -> ArrayRef {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match self {
            Self::Flag => Arc::new(values.map(|v| v?.as_bool()).collect::<BooleanArray>()),
            Self::Whole => Arc::new(values.map(|v| v?.as_i64()).collect::<Int64Array>()),
            Self::Number => Arc::new(values.map(|v| v?.as_f64()).collect::<Float64Array>()),
            Self::Text => Arc::new(values.map(|v| v.map(text)).collect::<StringArray>()),
        }
    }
}

/// A run that ended, with what it came to.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedRun {
    /// The run.
    pub run: SweepRun,
    /// Its results by name; one that does not exist is absent.
    pub results: Map<String, Value>,
    /// Its test accuracy over steps, thinned to what a small picture shows.
    pub curve: Vec<(u64, f64)>,
}

impl EndedRun {
    /// Whether a result is this word.
    pub fn is(&self, name: &str, word: &str) -> bool {
        self.results.get(name).and_then(Value::as_str) == Some(word)
    }

    /// A result, or a value of the configuration, that is a number.
    pub fn quantity(&self, name: &str) -> Option<f64> {
        self.number(name).or_else(|| number(self.run.flat().get(name)?))
    }

    /// A result that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.results.get(name)?.as_f64()
    }
}

/// The results of a run as they are kept, with the version that found them: another may define them otherwise.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: String,
    results: Map<String, Value>,
    curve: Vec<(u64, f64)>,
}

/// Looks at every run that ended, and writes the table of all.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if a run's files are damaged, or the table cannot be written.
pub fn collect(directory: &SweepDirectory, spec: &SweepSpec) -> Result<Vec<EndedRun>> {
    directory.alone(|| {
        let found: Result<Vec<Option<EndedRun>>> = spec.runs.par_iter().map(|run| look(directory, run)).collect();
        let mut runs: Vec<EndedRun> = found?.into_iter().flatten().collect();
        compare_twins(directory, &mut runs)?;
        if !runs.is_empty() {
            let path = directory.path().join(RUNS);
            write_table(&path, table(&runs).map_err(|e| Error::io(&path, e))?)?;
        }
        Ok(runs)
    })
}

fn look(directory: &SweepDirectory, run: &SweepRun) -> Result<Option<EndedRun>> {
    let path = directory.run(run.number);
    if !is_finished(&path)? {
        return Ok(None);
    }
    let Kept { results, curve, .. } = kept(&path)?;
    Ok(Some(EndedRun {
        run: run.clone(),
        results,
        curve,
    }))
}

/// What is kept of a run, found where it is not.
fn kept(path: &Path) -> Result<Kept> {
    let file = path.join(SUMMARY);
    if file.exists() {
        let kept: Kept = read_json(&file)?;
        if kept.version == env!("CARGO_PKG_VERSION") {
            return Ok(kept);
        }
    }
    let table = read_metrics(path)?;
    let kept = Kept {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        results: summary(&read_run_info(path)?, &table),
        curve: thinned(table.measured("test_accuracy").collect()),
    };
    write_json(&file, &kept)?;
    Ok(kept)
}

/// The least and the greatest value of each hundredth of a series.
fn thinned(series: Vec<(u64, f64)>) -> Vec<(u64, f64)> {
    if series.len() <= 200 {
        return series;
    }
    let buckets = series.chunks(series.len().div_ceil(100));
    buckets
        .flat_map(|bucket| {
            let by_value = |a: &&(u64, f64), b: &&(u64, f64)| a.1.total_cmp(&b.1);
            let mut ends = vec![bucket.iter().min_by(by_value), bucket.iter().max_by(by_value)];
            ends.sort_by_key(|end| end.map(|(step, _)| *step));
            ends.dedup();
            ends.into_iter().flatten().copied().collect::<Vec<_>>()
        })
        .collect()
}

/// Run number, configuration, precision, results.
fn table(runs: &[EndedRun]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let configurations: Vec<Map<String, Value>> = runs.iter().map(|ended| configuration(&ended.run)).collect();
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let numbers = runs.iter().map(|ended| i64::from(ended.run.number));
    columns.push(("run".to_owned(), Arc::new(Int64Array::from_iter_values(numbers))));
    for name in key_names().chain([super::PRECISION]) {
        let values = || configurations.iter().map(|values| values.get(name));
        // A key that no run has set is absent.
        if let Some(kind) = Kind::of(values().flatten()) {
            columns.push((name.to_owned(), kind.column(values())));
        }
    }
    let result = |name: &str, kind: Option<Kind>| {
        let values = || runs.iter().map(|ended| ended.results.get(name));
        let kind = kind.or_else(|| Kind::of(values().flatten()))?;
        Some((name.to_owned(), kind.column(values())))
    };
    let mut others: Vec<&str> = runs
        .iter()
        .flat_map(|ended| ended.results.keys().map(String::as_str))
        .collect();
    others.retain(|name| FIRST.iter().all(|(first, _)| first != name));
    others.sort_unstable();
    others.dedup();
    columns.extend(FIRST.iter().filter_map(|(name, kind)| result(name, Some(*kind))));
    columns.extend(others.into_iter().filter_map(|name| result(name, None)));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| {
        let is_nullable = name != "run";
        (name, array, is_nullable)
    }))
}

/// A configuration as JSON values: what is neither text, number nor truth value is as in TOML.
fn configuration(run: &SweepRun) -> Map<String, Value> {
    let values = run.flat().into_iter();
    values
        .map(|(name, value)| {
            let value = match value {
                toml::Value::String(text) => text.into(),
                toml::Value::Integer(x) => x.into(),
                toml::Value::Float(x) => x.into(),
                toml::Value::Boolean(x) => x.into(),
                other => other.to_string().into(),
            };
            (name, value)
        })
        .collect()
}
