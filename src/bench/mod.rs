//! How fast a machine is at this: the bandwidth of a copy and the rate of a dense product first, then every kernel within
//! real plans and whole tasks as shares of the two.
//!
//! A row's time is compared with the two times it could not fall below at those rates: that of moving its arguments once,
//! and that of its floating-point operations, both as the contracts count them. The larger of the two is its limit, and
//! its share is that time over the one that was measured. Rates are those of the backend's own kernels `copy` and
//! `matmul` on large arrays: what the same backend reaches where nothing else is in the way. Arguments that stay in a
//! cache can move faster than that.

mod kernels;
mod rates;
mod row;
mod stepping;
mod tasks;
mod text;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::backend::Executor;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;

pub use rates::Rates;
use row::Work;
pub use row::{Limit, Row, Spread};

/// Makes the executor of a plan for so many runs, in f32.
pub type Make<'a> = &'a dyn Fn(Arc<Plan>, usize) -> Result<Box<dyn Executor>>;

/// What to measure, and for how long.
pub struct Options<'a> {
    /// Whether to end within [`QUICK`]: fewer kernels and smaller tasks, and what no time is left for is left out.
    pub quick: bool,
    /// Which rows to measure, by their names.
    pub wanted: &'a dyn Fn(&str) -> bool,
    /// Told the name of what is measured next.
    pub progress: &'a dyn Fn(&str),
}

/// How long the quick form takes at most, as long as no single step takes seconds.
pub const QUICK: Duration = Duration::from_secs(30);

/// From when on the quick form begins nothing more.
const LAST_START: Duration = Duration::from_secs(24);

/// The machine that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Operating system.
    pub os: &'static str,
    /// Processor architecture.
    pub arch: &'static str,
    /// Processor, where the system tells.
    pub processor: Option<String>,
    /// Threads of the processor.
    pub threads: usize,
    /// `cpu`, `wgpu` or `cuda`.
    pub backend: String,
    /// The device, as the backend calls it.
    pub device: String,
    /// Precision of real numbers.
    pub precision: &'static str,
}

/// A row that was asked for and is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bench {
    /// Version of this crate.
    pub version: &'static str,
    /// Whether it was the quick form.
    pub quick: bool,
    /// The machine.
    pub machine: Machine,
    /// What the rows are compared with.
    pub rates: Rates,
    /// Kernels, the longest first in each preset, then tasks.
    pub rows: Vec<Row>,
    /// What is missing.
    pub left_out: Vec<LeftOut>,
}

/// The time there is.
struct Watch {
    began: Instant,
    quick: bool,
}

impl Watch {
    /// Whether nothing more should begin.
    fn is_over(&self) -> bool {
        self.quick && self.began.elapsed() > LAST_START
    }

    /// Seconds of several repetitions after a first one that does not count.
    fn sample(&self, mut once: impl FnMut() -> Result<f64>) -> Result<Spread> {
        once()?;
        let enough = Duration::from_millis(if self.quick { 700 } else { 4000 });
        let start = Instant::now();
        let mut all = vec![once()?];
        let few = |found: usize| found < 5 && start.elapsed() < 4 * enough;
        while all.len() < 200 && (few(all.len()) || start.elapsed() < enough) && !self.is_over() {
            all.push(once()?);
        }
        Ok(Spread::of(all))
    }
}

/// Names of all rows that could be measured, tasks last.
///
/// # Errors
/// If a preset's plan cannot be built.
fn names(quick: bool) -> Result<Vec<String>> {
    let mut names = kernels::names(quick)?;
    names.extend(tasks::all(quick).iter().map(|task| task.name.clone()));
    Ok(names)
}

/// Measures the rates, then all rows that are wanted.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if no row is wanted; device errors.
pub fn run(make: Make, backend: &str, options: &Options) -> Result<Bench> {
    let names = names(options.quick)?;
    if !names.iter().any(|name| (options.wanted)(name)) {
        return Err(Error::config(format!(
            "none of the {} rows is meant, expected one as {} or {}",
            names.len(),
            names[0],
            names[names.len() - 1]
        )));
    }
    let watch = Watch {
        began: Instant::now(),
        quick: options.quick,
    };
    (options.progress)("bandwidth and matrix rate");
    let (rates, device) = rates::measure(make, &watch)?;
    let mut bench = Bench {
        version: env!("CARGO_PKG_VERSION"),
        quick: options.quick,
        machine: Machine {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            processor: processor(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            backend: backend.to_owned(),
            device,
            precision: "f32",
        },
        rates,
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    for preset in kernels::presets(options.quick) {
        let wanted = kernels::names_of(*preset)?;
        let wanted: Vec<String> = wanted.into_iter().filter(|name| (options.wanted)(name)).collect();
        if !wanted.is_empty() {
            (options.progress)(&format!("kernels of preset {preset}"));
            let found = kernels::measure(make, *preset, &watch, &bench.rates);
            bench.take(wanted, &watch, found)?;
        }
    }
    for task in tasks::all(options.quick) {
        if (options.wanted)(&task.name) {
            (options.progress)(&task.name);
            let found = if watch.is_over() {
                Ok(Vec::new())
            } else {
                task.measure(make, &watch, &bench.rates).map(|row| vec![row])
            };
            bench.take(vec![task.name], &watch, found)?;
        }
    }
    Ok(bench)
}

impl Bench {
    /// Adds the rows that are wanted, and says why others are missing.
    fn take(&mut self, wanted: Vec<String>, watch: &Watch, found: Result<Vec<Row>>) -> Result<()> {
        let (rows, why) = match found {
            Ok(rows) if watch.is_over() => (rows, "no time was left for it".to_owned()),
            Ok(rows) => (rows, "the backend did not launch it".to_owned()),
            Err(error) => match error.kind() {
                ErrorKind::Unsupported(_) => (Vec::new(), error.to_string()),
                _ => return Err(error),
            },
        };
        let rows: Vec<Row> = rows.into_iter().filter(|row| wanted.contains(&row.name)).collect();
        let missing = wanted
            .into_iter()
            .filter(|name| rows.iter().all(|row| row.name != *name));
        self.left_out
            .extend(missing.map(|name| LeftOut { name, why: why.clone() }));
        self.rows.extend(rows);
        Ok(())
    }
}

/// What the system calls the processor; none where it does not say.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
