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
    /// says so again, without rows. If it [goes ahead](Self::goes_ahead), the steps from there to `ahead` may have begun
    /// when this returns: then the next call asks for them, and neither weights nor state are those of `limit`.
    ///
    /// # Errors
    /// What the device says.
    fn run_chunk(&mut self, limit: u64, ahead: u64) -> Result<Chunk>;

    /// Whether it begins the next chunk before the rows of this one are read, where it may.
    fn goes_ahead(&self) -> bool {
        false
    }

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

/// What a run is asked for at a checkpoint.
pub(crate) trait Snapshot {
    /// As [`Run::weights`].
    fn weights(&mut self) -> Result<TensorSet>;

    /// As [`Run::state`].
    fn state(&mut self) -> Result<TensorSet>;

    /// As [`Run::describe`].
    fn describe(&self, info: &mut RunInfo);
}

impl Snapshot for &mut dyn Run {
    fn weights(&mut self) -> Result<TensorSet> {
        Run::weights(*self)
    }

    fn state(&mut self) -> Result<TensorSet> {
        Run::state(*self)
    }

    fn describe(&self, info: &mut RunInfo) {
        Run::describe(*self, info);
    }
}

/// A run on its way into its directory: what it measured since the last checkpoint.
#[derive(Debug)]
pub(crate) struct Recording {
    config: TrainConfig,
    columns: Vec<String>,
    info: RunInfo,
    rows: Vec<MetricsRow>,
    clock: Instant,
    seconds_before: f64,
}

impl Recording {
    /// Begins, or goes on, at `step`. `info` is what is known from before: the seed, and for a resumed run all that
    /// [`RunDirectory::resume`] found.
    pub fn begin(
        directory: &RunDirectory,
        config: &TrainConfig,
        columns: &[String],
        mut info: RunInfo,
        step: u64,
        run: &mut dyn Snapshot,
    ) -> Result<Self> {
        if info.started.is_empty() {
            info.started = info::now();
        }
        info.ended = None;
        let mut recording = Self {
            config: config.clone(),
            columns: columns.to_vec(),
            seconds_before: info.timings.wall_seconds,
            info,
            rows: Vec::new(),
            clock: Instant::now(),
        };
        recording.update(step, run);
        directory.write_info(&recording.info)?;
        recording.keep(directory, run, step)?;
        Ok(recording)
    }

    /// Where the next chunk ends: at multiples of `chunk` whatever came before, so that a resumed run is cut at the same
    /// steps as one that was never stopped, and at checkpoints, where weights are kept, and at the last step.
    pub fn limit(&self, step: u64) -> u64 {
        let next = |every: u32| (step / u64::from(every) + 1) * u64::from(every);
        let kept = match self.config.weights_every {
            0 => u64::MAX,
            every => next(every),
        };
        next(self.config.chunk)
            .min(next(self.config.checkpoint_every))
            .min(kept)
            .min(u64::from(self.config.steps))
    }

    /// To which step the device may go on while the rows of a chunk that ends at `limit` are read: to the end of the next
    /// chunk, or no further where the state at `limit` is wanted.
    fn ahead(&self, limit: u64) -> u64 {
        let is_due = |every: u32| every > 0 && limit.is_multiple_of(u64::from(every));
        let TrainConfig {
            steps,
            checkpoint_every,
            weights_every,
            ..
        } = self.config;
        if is_due(checkpoint_every) || is_due(weights_every) || limit >= u64::from(steps) {
            limit
        } else {
            self.limit(limit)
        }
    }

    /// Takes what a chunk that ended at `step` measured, and makes a checkpoint where one is due; says whether the run
    /// is over.
    pub fn advance(
        &mut self,
        directory: &RunDirectory,
        run: &mut dyn Snapshot,
        chunk: Chunk,
        step: u64,
        is_interrupted: bool,
    ) -> Result<bool> {
        self.rows.extend(chunk.rows);
        self.keep(directory, run, step)?;
        let stopped = |reason| Some(Ended { reason, step });
        let ended = chunk
            .ended
            .or_else(|| stopped(EndReason::Steps).filter(|_| step >= u64::from(self.config.steps)))
            .or_else(|| stopped(EndReason::Interrupted).filter(|_| is_interrupted));
        if ended.is_some() || step.is_multiple_of(u64::from(self.config.checkpoint_every)) {
            self.info.ended = ended;
            self.update(step, run);
            let (weights, state) = (run.weights()?, run.state()?);
            directory.checkpoint(&self.columns, &self.rows, &weights, &state, &self.info)?;
            self.rows.clear();
        }
        Ok(ended.is_some())
    }

    /// Keeps the weights of a step for what is computed from them later, where they are wanted.
    fn keep(&self, directory: &RunDirectory, run: &mut dyn Snapshot, step: u64) -> Result<()> {
        let every = u64::from(self.config.weights_every);
        if every > 0 && step.is_multiple_of(every) {
            directory.keep_weights(step, &run.weights()?)?;
        }
        Ok(())
    }

    /// What `run.json` says.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    fn update(&mut self, step: u64, run: &dyn Snapshot) {
        let info = &mut self.info;
        let seconds = self.seconds_before + self.clock.elapsed().as_secs_f64();
        run.describe(info);
        env!("CARGO_PKG_VERSION").clone_into(&mut info.version);
        info.updated = info::now();
        info.step = step;
        info.timings.wall_seconds = seconds;
        let made = step - info.parent.as_ref().map_or(0, |parent| parent.step.min(step));
        info.timings.steps_per_second = if seconds > 0.0 { made as f64 / seconds } else { 0.0 };
    }
}

/// Runs to the end, or until `interrupted` is set, with checkpoints as `config` says; returns the last `run.json`.
/// `info` is what is known from before: the seed, and for a resumed run all that [`RunDirectory::resume`] found.
///
/// # Errors
/// What the run or the disk says. The directory can be resumed from its last checkpoint.
pub fn record(
    mut run: &mut dyn Run,
    directory: &RunDirectory,
    config: &TrainConfig,
    info: RunInfo,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<RunInfo> {
    let steps = u64::from(config.steps);
    let columns = run.columns().to_vec();
    let mut recording = Recording::begin(directory, config, &columns, info, run.step(), &mut run)?;
    observer.step(run.step(), steps);
    loop {
        let before = run.step();
        let limit = recording.limit(before);
        // Where it is interrupted it must stop, so that its state is that of the last row.
        let ahead = if run.goes_ahead() && !interrupted.load(Ordering::Relaxed) {
            recording.ahead(limit)
        } else {
            limit
        };
        let chunk = run.run_chunk(limit, ahead)?;
        let step = run.step();
        observer.rows(&chunk.rows, &columns);
        observer.step(step, steps);
        let is_interrupted = ahead == limit && interrupted.load(Ordering::Relaxed);
        if recording.advance(directory, &mut run, chunk, step, is_interrupted)? {
            return Ok(recording.info().clone());
        }
        if step == before {
            return Err(Error::device(format!("the run makes no progress at step {step}")));
        }
    }
}
