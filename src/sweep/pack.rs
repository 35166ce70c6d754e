//! Which runs can train side by side, and how many do.

use std::collections::BTreeMap;
use std::fs;

use super::spec::SweepSpec;
use crate::backend::Precision;
use crate::error::{Error, ErrorKind, Result};
use crate::trainer::{Experiment, Program};

/// Runs of one plan and precision.
#[derive(Debug, Clone)]
pub struct Pack {
    /// The plan.
    pub program: Program,
    /// The precision.
    pub precision: Precision,
    /// Numbers of the runs, increasing.
    pub runs: Vec<u32>,
    /// Bytes that one run needs on the device.
    pub bytes: usize,
}

impl Pack {
    /// How many runs train side by side: as many as asked for, else four for each thread, so that runs of unequal length
    /// leave few threads idle at the end of a chunk; at most so many as fit into half of the memory that is free.
    pub fn slots(&self, asked: Option<usize>) -> usize {
        let wanted = asked.unwrap_or_else(|| 4 * rayon::current_num_threads());
        let fit = available_memory().map_or(usize::MAX, |bytes| bytes / 2 / self.bytes.max(1));
        wanted.min(self.runs.len()).min(fit).max(1)
    }
}

/// The packs of a sweep, in the order of their first runs.
///
/// # Errors
/// What [`Experiment::new`] says of a run that cannot be, with its number.
pub fn packs(spec: &SweepSpec) -> Result<Vec<Pack>> {
    let mut packs: Vec<Pack> = Vec::new();
    // A seed changes no plan: runs that differ by their seeds alone are looked at once.
    let mut known: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for run in &spec.runs {
        let mut seedless = run.config.clone();
        seedless.task.seed = 0;
        let key = (seedless.to_toml()?, run.precision.name());
        let place = match known.get(&key) {
            Some(place) => *place,
            None => {
                let program = Experiment::new(&run.config)
                    .and_then(|experiment| experiment.program())
                    .map_err(|e| of_run(run.number, e))?;
                let same = |pack: &Pack| pack.precision == run.precision && pack.program.plan == program.plan;
                let place = packs.iter().position(same).unwrap_or(packs.len());
                if place == packs.len() {
                    packs.push(Pack {
                        bytes: program.plan.bytes(1, run.precision.bytes()),
                        program,
                        precision: run.precision,
                        runs: Vec::new(),
                    });
                }
                known.insert(key, place);
                place
            }
        };
        packs[place].runs.push(run.number);
    }
    Ok(packs)
}

/// An error, with the run that it is about.
fn of_run(number: u32, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Config(text) => Error::config(format!("run {number}: {text}")),
        _ => error,
    }
}

/// Bytes of memory that are free, where the system says.
fn available_memory() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
