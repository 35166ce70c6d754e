//! A sweep's file: a configuration, and what varies over it. Reading it gives all runs, numbered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Value;
use toml::de::DeValue;

use super::axis::{Domain, Placed};
use super::filter::{Condition, Filter};
use super::sample::Sample;
use super::section::{keyed, literal, table, tables};
use crate::backend::Precision;
use crate::config::{Config, Entry, Layers, Place, Preset, Source, flat};
use crate::error::{Error, Result};

/// The key of the seeds.
const SEED: &str = "task.seed";
/// The one axis that is no key of the configuration.
pub const PRECISION: &str = "sweep.precision";
/// Most runs of a sweep.
const MOST_RUNS: usize = 100_000;

/// All runs of a sweep.
#[derive(Debug, Clone)]
pub struct SweepSpec {
    /// The file as it was read, which a sweep's directory keeps.
    pub text: String,
    /// The keys that vary, the slowest first; seeds last.
    pub axes: Vec<String>,
    /// Most runs that train side by side, where the file says.
    pub pack: Option<usize>,
    /// The runs, by number.
    pub runs: Vec<SweepRun>,
    /// Points that the filters left out.
    pub skipped: usize,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRun {
    /// Its number: where it stands among all runs, from 0.
    pub number: u32,
    /// Its complete configuration.
    pub config: Config,
    /// The precision in which it is trained.
    pub precision: Precision,
}

impl SweepRun {
    /// The value of an axis, as in TOML; nothing where the key is not set.
    pub fn value(&self, axis: &str) -> String {
        self.flat().get(axis).map_or_else(String::new, Value::to_string)
    }

    /// All values by `section.key`, and the precision.
    pub(super) fn flat(&self) -> BTreeMap<String, Value> {
        with_precision(flat(&self.config), self.precision)
    }
}

fn with_precision(mut values: BTreeMap<String, Value>, precision: Precision) -> BTreeMap<String, Value> {
    values.insert(PRECISION.to_owned(), Value::String(precision.name().to_owned()));
    values
}

/// Keys that vary together.
struct Dimension {
    keys: Vec<String>,
    /// The values of the keys at each of its points.
    points: Vec<Vec<Placed>>,
}

impl SweepSpec {
    /// Reads a file and works out its runs.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] names line, column and key, what was found and what was expected;
    /// [`crate::ErrorKind::Io`] if the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let source = Source::read(path)?;
        let mut reader = Reader::default();
        let mut sections = Vec::new();
        for entry in source.parse()? {
            match entry.name.as_str() {
                "sweep" | "axes" | "zip" | "sample" | "skip" => reader.take(&source, entry)?,
                _ => sections.push(entry),
            }
        }
        let base = Layers::new(reader.preset).sections(&source, sections)?;
        let mut dimensions = reader.axes;
        dimensions.extend(reader.zips);
        dimensions.extend(reader.sample);
        dimensions.extend(reader.precision);
        dimensions.extend(reader.seeds);
        refuse_twice(path, &dimensions)?;
        let total = dimensions
            .iter()
            .try_fold(1usize, |product, dimension| product.checked_mul(dimension.points.len()))
            .filter(|total| *total <= MOST_RUNS)
            .ok_or_else(|| {
                Error::config(format!(
                    "{}: its axes have more than {MOST_RUNS} points together",
                    path.display()
                ))
            })?;
        let mut runs = Vec::new();
        for point in 0..total {
            let number = runs.len() as u32;
            runs.extend(run_at(&base, &dimensions, &reader.skips, point, number)?);
        }
        if runs.is_empty() {
            return Err(Error::config(format!("{}: [[skip]] leaves no run", path.display())));
        }
        Ok(Self {
            text: source.text().to_owned(),
            axes: dimensions.into_iter().flat_map(|dimension| dimension.keys).collect(),
            pack: reader.pack,
            skipped: total - runs.len(),
            runs,
        })
    }
}

/// The run at a point, the last dimension varying fastest; none where a filter leaves it out.
fn run_at(
    base: &Layers,
    dimensions: &[Dimension],
    skips: &[Filter],
    mut point: usize,
    number: u32,
) -> Result<Option<SweepRun>> {
    let mut layers = base.clone();
    let mut precision = Precision::F32;
    for dimension in dimensions.iter().rev() {
        let values = &dimension.points[point % dimension.points.len()];
        point /= dimension.points.len();
        for (key, (value, at)) in dimension.keys.iter().zip(values) {
            if key == PRECISION {
                precision = precision_of(value, at)?;
            } else {
                layers.value(key, value.clone(), at)?;
            }
        }
    }
    let values = with_precision(layers.flat(), precision);
    if skips.iter().any(|skip| skip.holds(&values)) {
        return Ok(None);
    }
    Ok(Some(SweepRun {
        number,
        config: layers.build()?,
        precision,
    }))
}

fn precision_of(value: &Value, at: &Place) -> Result<Precision> {
    match value.as_str() {
        Some("f32") => Ok(Precision::F32),
        Some("f64") => Ok(Precision::F64),
        _ => Err(Error::config(format!(
            r#"{at}: {PRECISION} = {value}, expected "f32" or "f64""#
        ))),
    }
}

fn refuse_twice(path: &Path, dimensions: &[Dimension]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for key in dimensions.iter().flat_map(|dimension| &dimension.keys) {
        if !seen.insert(key) {
            return Err(Error::config(format!(
                "{}: {key} varies in two places, expected one",
                path.display()
            )));
        }
    }
    Ok(())
}

/// What the sections of a sweep say.
#[derive(Default)]
struct Reader {
    preset: Preset,
    pack: Option<usize>,
    seeds: Option<Dimension>,
    precision: Option<Dimension>,
    axes: Vec<Dimension>,
    zips: Vec<Dimension>,
    sample: Option<Dimension>,
    skips: Vec<Filter>,
}

impl Reader {
    fn take(&mut self, source: &Source, entry: Entry<'_>) -> Result<()> {
        match entry.name.as_str() {
            "sweep" => self.sweep(source, entry),
            "axes" => {
                for entry in keyed(source, entry)? {
                    let values =
                        Domain::read(source, &entry.name, entry.value, &entry.value_at)?.values(&entry.name)?;
                    self.axes.push(Dimension::of(entry.name, values));
                }
                Ok(())
            }
            "zip" => {
                for entry in tables(source, entry)? {
                    self.zips.push(zip(source, entry)?);
                }
                Ok(())
            }
            "sample" => {
                let (keys, points) = Sample::read(source, entry)?.points();
                self.sample = Some(Dimension { keys, points });
                Ok(())
            }
            _ => {
                for entry in tables(source, entry)? {
                    let mut filter = Filter::default();
                    let at = entry.at.clone();
                    for entry in keyed(source, entry)? {
                        let condition = Condition::read(source, &entry.name, entry.value, &entry.value_at)?;
                        filter.conditions.push((entry.name, condition));
                    }
                    if filter.conditions.is_empty() {
                        return Err(Error::config(format!(
                            "{at}: skip has no conditions, expected at least one"
                        )));
                    }
                    self.skips.push(filter);
                }
                Ok(())
            }
        }
    }

    fn sweep(&mut self, source: &Source, entry: Entry<'_>) -> Result<()> {
        for entry in table(source, entry)? {
            let at = &entry.value_at;
            match entry.name.as_str() {
                "preset" => {
                    let value = literal(&entry)?;
                    let name = value.as_str().ok_or_else(|| {
                        Error::config(format!("{at}: sweep.preset = {value}, expected the name of a preset"))
                    })?;
                    self.preset = name.parse().map_err(|e| Error::config(format!("{at}: {e}")))?;
                }
                "seeds" => self.seeds = Some(Dimension::of(SEED.to_owned(), seeds(source, &entry)?)),
                "precision" => {
                    let values = match entry.value.clone() {
                        value @ DeValue::Array(_) => Domain::read(source, PRECISION, value, at)?.values(PRECISION)?,
                        _ => vec![(literal(&entry)?, at.clone())],
                    };
                    for (value, at) in &values {
                        precision_of(value, at)?;
                    }
                    self.precision = Some(Dimension::of(PRECISION.to_owned(), values));
                }
                "pack" => {
                    let value = literal(&entry)?;
                    let pack = value.as_integer().filter(|n| (1..=4096).contains(n));
                    self.pack = Some(pack.ok_or_else(|| {
                        Error::config(format!(
                            "{at}: sweep.pack = {value}, expected a whole number from 1 to 4096"
                        ))
                    })? as usize);
                }
                name => {
                    return Err(Error::config(format!(
                        "{}: unknown key sweep.{name}; the keys are sweep.preset, sweep.seeds, sweep.precision, sweep.pack",
                        entry.at
                    )));
                }
            }
        }
        Ok(())
    }
}

impl Dimension {
    fn of(key: String, values: Vec<Placed>) -> Self {
        Self {
            keys: vec![key],
            points: values.into_iter().map(|value| vec![value]).collect(),
        }
    }
}

fn zip(source: &Source, entry: Entry<'_>) -> Result<Dimension> {
    let at = entry.at.clone();
    let mut dimension = Dimension {
        keys: Vec::new(),
        points: Vec::new(),
    };
    for entry in keyed(source, entry)? {
        let values = Domain::read(source, &entry.name, entry.value, &entry.value_at)?.values(&entry.name)?;
        if dimension.keys.is_empty() {
            dimension.points = vec![Vec::new(); values.len()];
        }
        if values.len() != dimension.points.len() {
            return Err(Error::config(format!(
                "{}: {} has {} values, expected {}, as {} beside it",
                entry.value_at,
                entry.name,
                values.len(),
                dimension.points.len(),
                dimension.keys[0]
            )));
        }
        dimension.keys.push(entry.name);
        for (point, value) in dimension.points.iter_mut().zip(values) {
            point.push(value);
        }
    }
    if dimension.keys.is_empty() {
        return Err(Error::config(format!("{at}: zip has no keys, expected at least one")));
    }
    Ok(dimension)
}

/// A number of seeds from 0, or a list of seeds.
fn seeds(source: &Source, entry: &Entry<'_>) -> Result<Vec<Placed>> {
    let at = &entry.value_at;
    if let value @ DeValue::Array(_) = entry.value.clone() {
        return Domain::read(source, "sweep.seeds", value, at)?.values("sweep.seeds");
    }
    let value = literal(entry)?;
    let count = value.as_integer().filter(|n| (1..=MOST_RUNS as i64).contains(n));
    let count = count.ok_or_else(|| {
        Error::config(format!(
            "{at}: sweep.seeds = {value}, expected a number of seeds from 1 to {MOST_RUNS}, or a list of seeds"
        ))
    })?;
    Ok((0..count).map(|seed| (Value::Integer(seed), at.clone())).collect())
}
