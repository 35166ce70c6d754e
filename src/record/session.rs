//! The durable loop: a run goes on chunk by chunk, and whatever it measured is on disk at every checkpoint.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::directory::RunDirectory;
use super::info::{self, RunInfo};
use super::row::{EndReason, Ended, MetricsRow};
use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::tensors::TensorSet;

/// What a run did in one chunk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    /// The rows measured, in the order of their steps.
    pub rows: Vec<MetricsRow>,
    /// Set if the run is over.
    pub ended: Option<Ended>,
}

/// A run that can be recorded: it goes on in chunks, tells what it measured, and can be stopped and restored.
pub trait Run {
    /// Names of the columns of its rows; they never change.
    fn columns(&self) -> &[String];

    /// Steps made.
    fn step(&self) -> u64;

    /// Makes steps until `limit` of them are made, or the run is over. A run that was over when its state was taken
    /// says so again, without rows.
    ///
    /// # Errors
    /// What the device says.
    fn run_chunk(&mut self, limit: u64) -> Result<Chunk>;

    /// The weights, for the weights-only file, with the model's configuration in the metadata.
    ///
    /// # Errors
    /// What the device says.
    fn weights(&mut self) -> Result<TensorSet>;

    /// Every persistent buffer: restored into a new run of the same configuration, it goes on as if never stopped.
    ///
    /// # Errors
    /// What the device says.
    fn state(&mut self) -> Result<TensorSet>;

    /// Takes over a state.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Shape`] if it is of another configuration.
    fn restore(&mut self, state: &TensorSet) -> Result<()>;

    /// Fills in what only the run knows: backend, device, precision, sizes, choices, memorised and grokked step.
    fn describe(&self, info: &mut RunInfo);
}

/// Watches a run, as a progress display does.
pub trait Observer {
    /// New rows were measured.
    fn rows(&mut self, rows: &[MetricsRow], columns: &[String]) {
        let _ = (rows, columns);
    }

    /// The run has made `step` of at most `steps` steps.
    fn step(&mut self, step: u64, steps: u64) {
        let _ = (step, steps);
    }
}

/// Watches nothing.
impl Observer for () {}

/// Runs to the end, or until `interrupted` is set, with checkpoints as `config` says; returns the last `run.json`.
/// `info` is what is known from before: the seed, and for a resumed run all that [`RunDirectory::resume`] found.
///
/// # Errors
/// What the run or the disk says. The directory can be resumed from its last checkpoint.
pub fn record(
    run: &mut dyn Run,
    directory: &RunDirectory,
    config: &TrainConfig,
    mut info: RunInfo,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<RunInfo> {
    let steps = u64::from(config.steps);
    let checkpoint_every = u64::from(config.checkpoint_every);
    let columns = run.columns().to_vec();
    let clock = Instant::now();
    let seconds_before = info.timings.wall_seconds;
    if info.started.is_empty() {
        info.started = info::now();
    }
    info.ended = None;
    update(&mut info, run, seconds_before);
    directory.write_info(&info)?;
    observer.step(run.step(), steps);

    let mut rows = Vec::new();
    if is_kept(config, run.step()) {
        directory.keep_weights(run.step(), &run.weights()?)?;
    }
    loop {
        let before = run.step();
        let chunk = run.run_chunk(chunk_limit(config, before))?;
        let step = run.step();
        observer.rows(&chunk.rows, &columns);
        observer.step(step, steps);
        rows.extend(chunk.rows);

        let stopped = |reason| Some(Ended { reason, step });
        if is_kept(config, step) {
            directory.keep_weights(step, &run.weights()?)?;
        }
        let ended = chunk
            .ended
            .or_else(|| stopped(EndReason::Steps).filter(|_| step >= steps))
            .or_else(|| stopped(EndReason::Interrupted).filter(|_| interrupted.load(Ordering::Relaxed)));
        if ended.is_some() || step.is_multiple_of(checkpoint_every) {
            info.ended = ended;
            update(&mut info, run, seconds_before + clock.elapsed().as_secs_f64());
            directory.checkpoint(&columns, &rows, &run.weights()?, &run.state()?, &info)?;
            rows.clear();
        }
        if ended.is_some() {
            return Ok(info);
        }
        if step == before {
            return Err(Error::device(format!("the run makes no progress at step {step}")));
        }
    }
}

/// Where the next chunk ends: at multiples of `chunk` whatever came before, so that a resumed run is cut at the same
/// steps as one that was never stopped, and at checkpoints, where weights are kept, and at the last step.
fn chunk_limit(config: &TrainConfig, step: u64) -> u64 {
    let next = |every: u32| (step / u64::from(every) + 1) * u64::from(every);
    let kept = match config.weights_every {
        0 => u64::MAX,
        every => next(every),
    };
    next(config.chunk)
        .min(next(config.checkpoint_every))
        .min(kept)
        .min(u64::from(config.steps))
}

/// Whether the weights of a step are kept for what is computed from them later.
fn is_kept(config: &TrainConfig, step: u64) -> bool {
    config.weights_every > 0 && step.is_multiple_of(u64::from(config.weights_every))
}

fn update(info: &mut RunInfo, run: &dyn Run, seconds: f64) {
    run.describe(info);
    env!("CARGO_PKG_VERSION").clone_into(&mut info.version);
    info.updated = info::now();
    info.step = run.step();
    info.timings.wall_seconds = seconds;
    info.timings.steps_per_second = if seconds > 0.0 { info.step as f64 / seconds } else { 0.0 };
}
