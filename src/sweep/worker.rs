//! Does the runs of a sweep: takes those that nobody has, trains them side by side, records each for itself.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::directory::SweepDirectory;
use super::pack::{Pack, packs};
use super::profile::Watch;
use super::shard::Shard;
use super::spec::{SweepRun, SweepSpec};
use crate::backend::{Executor, MakeFor, Precision, cpu, cpu_executor_for};
use crate::error::{Error, Result};
use crate::plan::{Capabilities, Plan};
use crate::record::{
    Chunk, Claim, Claimed, Ended, MetricsRow, Recording, RunDirectory, claim, is_finished, keep_last_weights,
};
use crate::trainer::{Experiment, Identity, SlotRun, Trainer};

/// Between two looks at runs that other workers have.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How soon an interruption is noticed meanwhile.
const NOTICE: Duration = Duration::from_millis(50);

/// Where a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Runs of the sweep, or of the shard.
    pub runs: usize,
    /// Those known to have ended, here or elsewhere.
    pub ended: usize,
    /// Those that ended here.
    pub ended_here: usize,
    /// Those that train here at the moment.
    pub training: usize,
    /// Steps made here, of all runs together.
    pub steps: u64,
}

/// Watches a worker, as a progress display does.
pub trait Watcher {
    /// Something was done.
    fn progress(&mut self, progress: &Progress);
}

/// Watches nothing.
impl Watcher for () {
    fn progress(&mut self, _: &Progress) {}
}

/// How a worker goes about it.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// The part of the runs that it does; all where there is none.
    pub shard: Option<Shard>,
    /// What makes its executors.
    pub make: MakeFor<'a>,
    /// Whether it times its launches, which may slow them down, and notes what became of its lanes, for
    /// [`super::profiles`].
    pub profile: bool,
}

impl Default for How<'static> {
    /// All runs, on the CPU.
    fn default() -> Self {
        fn on_cpu(plan: Arc<Plan>, precision: Precision, runs: usize) -> Result<(Box<dyn Executor>, Capabilities)> {
            Ok((cpu_executor_for(plan, precision, runs)?, cpu::capabilities()))
        }
        Self {
            shard: None,
            make: &on_cpu,
            profile: false,
        }
    }
}

/// Works until all runs (of the shard) have ended, here or in other processes, or until `interrupted` is set, which
/// leaves a checkpoint of each run that trains. Says whether all ended.
///
/// # Errors
/// What the device or the disk says; other workers, or `--resume`, go on from the last checkpoints.
pub fn work(
    directory: &SweepDirectory,
    spec: &SweepSpec,
    how: How<'_>,
    watcher: &mut dyn Watcher,
    interrupted: &AtomicBool,
) -> Result<bool> {
    let is_ours = |number: u32| how.shard.is_none_or(|shard| shard.has(number));
    let mut worker = Worker {
        directory,
        spec,
        how,
        open: spec
            .runs
            .iter()
            .map(|run| run.number)
            .filter(|number| is_ours(*number))
            .collect(),
        progress: Progress::default(),
        watcher,
        interrupted,
    };
    worker.progress.runs = worker.open.len();
    let packs = packs(spec)?;
    loop {
        for (k, pack) in packs.iter().enumerate() {
            worker.train(k, pack)?;
            if worker.is_interrupted() {
                return Ok(false);
            }
        }
        // What is left is in the hands of other workers: wait for them, and take over from those that die.
        worker.look()?;
        if worker.open.is_empty() {
            return Ok(true);
        }
        if worker.pause() {
            return Ok(false);
        }
    }
}

struct Worker<'a> {
    directory: &'a SweepDirectory,
    spec: &'a SweepSpec,
    how: How<'a>,
    /// Runs not known to have ended.
    open: BTreeSet<u32>,
    progress: Progress,
    watcher: &'a mut dyn Watcher,
    interrupted: &'a AtomicBool,
}

/// A run in a slot.
struct Occupant {
    number: u32,
    directory: RunDirectory,
    recording: Recording,
    identity: Identity,
}

impl<'a> Worker<'a> {
    /// Trains all runs of a pack that are free; it is the k-th.
    fn train(&mut self, k: usize, pack: &Pack) -> Result<()> {
        let mut watch = None;
        let trained = self.train_watched(k, pack, &mut watch);
        match watch {
            Some(watch) => trained.and(watch.finish(self.directory)),
            None => trained,
        }
    }

    fn train_watched(&mut self, k: usize, pack: &Pack, watch: &mut Option<Watch>) -> Result<()> {
        let mut queue: VecDeque<u32> = pack
            .runs
            .iter()
            .copied()
            .filter(|run| self.open.contains(run))
            .collect();
        let slots = pack.slots(self.spec.pack).min(queue.len());
        let mut made: Option<(Trainer, &'static str)> = None;
        let mut places: Vec<Option<Occupant>> = (0..slots).map(|_| None).collect();
        loop {
            for (slot, place) in places.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
                if self.is_interrupted() {
                    break;
                }
                let Some((run, claimed)) = self.next(&mut queue)? else {
                    break;
                };
                let (trainer, backend) = match &mut made {
                    Some(made) => made,
                    none => {
                        let (mut executor, backend) =
                            (self.how.make)(pack.program.plan.clone(), pack.precision, slots)?;
                        if self.how.profile {
                            let (begun, timed) = Watch::begin(executor, &backend, &self.name(), k, slots)?;
                            (*watch, executor) = (Some(begun), timed);
                        }
                        none.insert((Trainer::new(pack.program.clone(), executor, slots), backend.backend))
                    }
                };
                *place = Some(move_in(trainer, slot, run, claimed, backend)?);
            }
            let training = places.iter().flatten().count();
            let Some((trainer, _)) = made.as_mut().filter(|_| training > 0) else {
                return Ok(());
            };
            self.progress.training = training;
            self.chunk(trainer, &mut places, watch.as_mut())?;
            self.watcher.progress(&self.progress);
        }
    }

    /// Makes the steps up to the next place at which one of the runs is looked at; runs that end leave.
    fn chunk(
        &mut self,
        trainer: &mut Trainer,
        places: &mut [Option<Occupant>],
        watch: Option<&mut Watch>,
    ) -> Result<()> {
        let step_in = |trainer: &Trainer, slot: usize| trainer.status(slot).map_or(0, |status| status.step);
        let before: Vec<u64> = (0..places.len()).map(|slot| step_in(trainer, slot)).collect();
        // A run that was killed after its last checkpoint is over as it comes back.
        let going_on = |slot: usize| trainer.status(slot).is_some_and(|status| status.end.is_none());
        let occupied = places.iter().enumerate().filter(|(slot, _)| going_on(*slot));
        let steps = occupied.filter_map(|(slot, place)| {
            let step = before[slot];
            Some(place.as_ref()?.recording.limit(step).saturating_sub(step))
        });
        let steps = steps.min().unwrap_or(0);
        let begun = Instant::now();
        let mut rows: VecDeque<MetricsRow> = trainer.run_chunk(steps)?.into();
        if let Some(watch) = watch {
            let occupied = || places.iter().enumerate().filter(|(_, place)| place.is_some());
            let made = occupied().map(|(slot, _)| step_in(trainer, slot) - before[slot]).sum();
            watch.chunk(steps, occupied().count(), made, begun.elapsed().as_secs_f64());
        }
        let is_interrupted = self.is_interrupted();
        for (slot, place) in places.iter_mut().enumerate() {
            let Some(occupant) = place else { continue };
            let step = step_in(trainer, slot);
            // Rows come slot by slot.
            let own = rows.iter().take_while(|row| row.run == occupant.number).count();
            let reason = trainer.status(slot).and_then(|status| status.end);
            let chunk = Chunk {
                rows: rows.drain(..own).collect(),
                ended: reason.map(|reason| Ended { reason, step }),
            };
            self.progress.steps += step - before[slot];
            if step == before[slot] && chunk.ended.is_none() && !is_interrupted {
                let number = occupant.number;
                return Err(Error::device(format!("run {number} makes no progress at step {step}")));
            }
            let mut run = SlotRun {
                trainer,
                slot,
                identity: &occupant.identity,
            };
            let recording = &mut occupant.recording;
            if recording.advance(&occupant.directory, &mut run, chunk, step, is_interrupted)? {
                if recording.info().ended.is_some_and(|ended| ended.is_final()) {
                    self.progress.ended_here += 1;
                    self.ended(occupant.number)?;
                }
                *place = None;
            }
        }
        Ok(())
    }

    /// How the worker is called in a profile.
    fn name(&self) -> String {
        let process = std::process::id();
        match self.how.shard {
            Some(shard) => format!("part {shard}, process {process}"),
            None => format!("process {process}"),
        }
    }

    /// The next run of the queue that is free.
    fn next(&mut self, queue: &mut VecDeque<u32>) -> Result<Option<(&'a SweepRun, Claimed)>> {
        let spec = self.spec;
        while let Some(number) = queue.pop_front() {
            let run = &spec.runs[number as usize];
            match claim(&self.directory.run(number), &run.config)? {
                Claim::Ours(claimed) => return Ok(Some((run, *claimed))),
                Claim::Finished => self.ended(number)?,
                Claim::Taken => {}
            }
        }
        Ok(None)
    }

    /// Looks which of the open runs have ended elsewhere.
    fn look(&mut self) -> Result<()> {
        for number in self.open.clone() {
            if is_finished(&self.directory.run(number))? {
                self.ended(number)?;
            }
        }
        self.progress.training = 0;
        self.watcher.progress(&self.progress);
        Ok(())
    }

    /// Notes that a run has ended, here or elsewhere. Whoever ended it may have been killed before it had tidied up.
    fn ended(&mut self, number: u32) -> Result<()> {
        keep_last_weights(&self.directory.run(number))?;
        self.open.remove(&number);
        self.progress.ended = self.progress.runs - self.open.len();
        Ok(())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Waits a little; says whether it was interrupted.
    fn pause(&self) -> bool {
        let mut waited = Duration::ZERO;
        while waited < LOOK_EVERY && !self.is_interrupted() {
            thread::sleep(NOTICE);
            waited += NOTICE;
        }
        self.is_interrupted()
    }
}

/// Starts a run in a slot, or goes on with it there.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] if it was begun on another backend: its numbers would be of two kinds.
fn move_in(
    trainer: &mut Trainer,
    slot: usize,
    run: &SweepRun,
    claimed: Claimed,
    backend: &'static str,
) -> Result<Occupant> {
    let before = &claimed.info.backend;
    if claimed.checkpoint.is_some() && before != backend {
        return Err(Error::unsupported(format!(
            "run {} was begun on {before}, expected --backend {before} to go on with it, not {backend}",
            run.number
        )));
    }
    let experiment = Experiment::new(&run.config)?;
    let identity = Identity::new(&experiment, backend);
    trainer.fill(slot, run.number, &experiment)?;
    let columns = trainer.columns().to_vec();
    let mut in_slot = SlotRun {
        trainer,
        slot,
        identity: &identity,
    };
    if let Some(checkpoint) = &claimed.checkpoint {
        in_slot.restore(&checkpoint.state)?;
    }
    let step = claimed.checkpoint.map_or(0, |checkpoint| checkpoint.step);
    let recording = Recording::begin(
        &claimed.directory,
        &run.config.train,
        &columns,
        claimed.info,
        step,
        &mut in_slot,
    )?;
    Ok(Occupant {
        number: run.number,
        directory: claimed.directory,
        recording,
        identity,
    })
}
