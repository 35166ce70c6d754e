//! The trainer: build the plan; run a chunk; drain the ring.
//!
//! The host does nothing within a chunk but replay segments: what is due, the learning rate, the minibatch, the end of a
//! run are all decided on device, by kernel `control`, for each slot from its own block.

pub mod program;
#[cfg(feature = "record")]
mod recorded;

pub use program::{Program, Sizes};
#[cfg(feature = "record")]
pub use recorded::RecordedRun;
#[cfg(feature = "record")]
pub(crate) use recorded::{Identity, SlotRun};

use crate::backend::{Executor, Pending, Precision, Values};
use crate::config::{Config, Samples, Stop};
use crate::data::Source;
use crate::error::{Error, Result};
use crate::model::{ModelShape, initial_weights};
use crate::optimizer::settings;
use crate::plan::control::Schedule;
use crate::plan::{BufferId, Plan, Segment, control};
use crate::record::{EndReason, MetricsRow};
use crate::schedule::Cadence;
use crate::task::{Task, gram_subset};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Index of the run.
    pub run: u32,
    /// Updates made.
    pub step: u64,
    /// How it ended, if it did.
    pub end: Option<EndReason>,
    /// First evaluated step with a train accuracy of at least 0.99.
    pub memorised: Option<u64>,
    /// First evaluated step at which the running median of the test accuracy was at least 0.95.
    pub grokked: Option<u64>,
}

/// One run's part of the work: its configuration, with the data and network it implies.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The configuration.
    pub config: Config,
    /// Its examples.
    pub task: Task,
    /// Its network.
    pub shape: ModelShape,
}

impl Experiment {
    /// The data and network of a configuration.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Config`] or `Io`, naming what is wrong.
    pub fn new(config: &Config) -> Result<Self> {
        let task = Task::new(&config.task, &config.model)?;
        let shape = ModelShape::from_config(&config.model, &task)?;
        program::check_batch(config, task.train.n)?;
        program::check_properties(config, &task)?;
        Ok(Self {
            config: config.clone(),
            task,
            shape,
        })
    }

    /// How many samples its parts have.
    pub fn sizes(&self) -> Sizes {
        let train = self.task.train.n;
        let test = self.task.test.n;
        let gram = match self.config.stats.samples {
            Samples::All => train,
            Samples::Count(n) => n.min(train),
        };
        Sizes {
            train,
            test,
            gram,
            gram_test: gram.min(test),
        }
    }

    /// The plan that trains it, and any other of the same shape and choices.
    ///
    /// # Errors
    /// As [`program::build`].
    pub fn program(&self) -> Result<Program> {
        program::build(&self.config, &self.shape, self.sizes())
    }
}

/// Trains as many runs of one shape as the executor has slots.
pub struct Trainer {
    program: Program,
    executor: Box<dyn Executor>,
    slots: Vec<Option<Slot>>,
    /// What was begun before it was asked for.
    ahead: Option<Flight>,
}

/// Steps on their way.
struct Flight {
    steps: u64,
    /// Slots whose runs were not known to be over.
    slots: Vec<usize>,
    /// Control block, header and ring of each of them, behind these steps.
    copies: Pending,
}

/// What the host knows about a slot.
struct Slot {
    status: Status,
    /// The control block at the last look.
    block: Vec<u32>,
    /// Rows read back so far.
    drained: u32,
}

impl Trainer {
    /// A trainer with empty slots.
    pub fn new(program: Program, executor: Box<dyn Executor>, slots: usize) -> Self {
        Self {
            program,
            executor,
            slots: (0..slots).map(|_| None).collect(),
            ahead: None,
        }
    }

    /// Names of the columns of its rows.
    pub fn columns(&self) -> &[String] {
        &self.program.columns
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Plan {
        &self.program.plan
    }

    /// The executor.
    pub fn executor(&self) -> &dyn Executor {
        self.executor.as_ref()
    }

    /// Starts a run in a slot, whatever was there before.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Shape`] if it is of another shape than the program or steps are on their way, or a device
    /// error.
    pub fn fill(&mut self, slot: usize, run: u32, experiment: &Experiment) -> Result<()> {
        self.check_settled()?;
        let config = &experiment.config;
        let other = experiment.program()?;
        if other.plan != self.program.plan {
            return Err(Error::shape(format!(
                "run {run} needs another plan than the runs beside it: shapes, split sizes, schedules of rows and choices must agree"
            )));
        }
        let seed = config.task.seed;
        let plan = self.program.plan.clone();
        for (buffer, description) in plan.persistent() {
            let zero = match description.arena.element() {
                crate::plan::Element::Word => Values::Words(vec![0; description.len()]),
                _ => Values::Numbers(vec![0.0; description.len()]),
            };
            self.executor.upload(slot, buffer, &zero)?;
        }
        let subset = gram_subset(experiment.task.train.n, experiment.sizes().gram, seed);
        let subset = experiment.task.train.select(&subset);
        let beside = gram_subset(experiment.task.test.n, experiment.sizes().gram_test, seed);
        let splits = subset.followed_by(&experiment.task.test.select(&beside));
        for fill in &self.program.fills {
            let (buffer, values) = fill.values(match fill.source {
                Source::Train => &experiment.task.train,
                Source::Test => &experiment.task.test,
                Source::Gram => &subset,
                Source::Splits => &splits,
            })?;
            self.executor.upload(slot, buffer, &values)?;
        }
        let weights = initial_weights(&experiment.shape, &config.model, seed);
        self.executor
            .upload(slot, self.program.parameters, &Values::Numbers(weights))?;
        self.executor
            .upload(slot, self.program.settings, &Values::Numbers(settings(config)))?;
        let block = control_block(config, run);
        self.executor
            .upload(slot, self.program.control, &Values::Words(block.clone()))?;
        self.slots[slot] = Some(Slot {
            status: status(&block),
            drained: 0,
            block,
        });
        Ok(())
    }

    /// Where the run in a slot stands.
    pub fn status(&self, slot: usize) -> Option<Status> {
        self.slots[slot].as_ref().map(|slot| slot.status)
    }

    /// Makes up to `steps` steps (at most what the ring holds) in every slot that is not over, and returns the rows
    /// measured, slot by slot.
    ///
    /// # Errors
    /// A device error, with the kernel's name.
    pub fn run_chunk(&mut self, steps: u64) -> Result<Vec<MetricsRow>> {
        self.run_chunk_ahead(steps, 0)
    }

    /// As [`Self::run_chunk`], but an asynchronous executor begins the next `ahead` steps before it waits for the rows of
    /// these. The next call must ask for exactly these steps; until then [`Self::status`] is that after the rows returned,
    /// weights and states are those after the steps ahead, and no slot can be filled or set.
    ///
    /// # Errors
    /// As [`Self::run_chunk`]; [`crate::error::ErrorKind::Shape`] if other steps were begun than are asked for.
    pub fn run_chunk_ahead(&mut self, steps: u64, ahead: u64) -> Result<Vec<MetricsRow>> {
        let capacity = self.program.capacity as u64;
        let made = steps.min(capacity);
        if let Some(begun) = self
            .ahead
            .as_ref()
            .map(|flight| flight.steps)
            .filter(|begun| *begun != made)
        {
            return Err(Error::shape(format!(
                "{begun} steps were begun ahead, {made} are asked for"
            )));
        }
        let flight = match self.ahead.take() {
            Some(flight) => flight,
            None => self.begin(0, made)?,
        };
        if ahead > 0 && made == steps && self.executor.is_asynchronous() {
            self.ahead = Some(self.begin(made, ahead.min(capacity))?);
        }
        self.finish(flight)
    }

    /// Whether its executor is worth going ahead on, see [`Self::run_chunk_ahead`].
    pub fn is_asynchronous(&self) -> bool {
        self.executor.is_asynchronous()
    }

    /// Submits the steps that follow `before` others that are on their way.
    fn begin(&mut self, before: u64, steps: u64) -> Result<Flight> {
        let due = |k: u64| -> Vec<Segment> {
            let segments = Segment::ALL.into_iter();
            segments.filter(|segment| self.may_be_due(*segment, k)).collect()
        };
        let chunk: Vec<Vec<Segment>> = (before..before + steps).map(due).collect();
        let going_on = |slot: &usize| self.status(*slot).is_some_and(|status| status.end.is_none());
        let slots: Vec<usize> = (0..self.slots.len()).filter(going_on).collect();
        let Program {
            control, header, ring, ..
        } = self.program;
        let shares = slots
            .iter()
            .flat_map(|slot| [control, header, ring].map(|buffer| (*slot, buffer)));
        let shares: Vec<(usize, BufferId)> = shares.collect();
        self.executor.submit_steps(&chunk)?;
        let copies = self.executor.request(&shares)?;
        Ok(Flight { steps, slots, copies })
    }

    /// Whether a segment is due `k` steps from here in any slot, for all that the host knows.
    fn may_be_due(&self, segment: Segment, k: u64) -> bool {
        self.slots.iter().flatten().any(|slot| {
            let step = u32::try_from(slot.status.step + k).unwrap_or(u32::MAX);
            slot.status.end.is_none() && Schedule::read(&slot.block, segment).may_be_due(step)
        })
    }

    /// Waits for steps, and reads their rows.
    fn finish(&mut self, flight: Flight) -> Result<Vec<MetricsRow>> {
        let mut rows = Vec::new();
        let mut copies = (flight.copies)()?.into_iter();
        for slot in flight.slots {
            let (Some(Values::Words(block)), Some(Values::Words(header)), Some(Values::Numbers(ring))) =
                (copies.next(), copies.next(), copies.next())
            else {
                return Err(Error::device("the metrics ring was copied as something else"));
            };
            self.drain(slot, block, &header, &ring, &mut rows);
        }
        Ok(rows)
    }

    /// Reads the rows that are new in a slot's ring, and notes where its run stands.
    fn drain(&mut self, slot: usize, block: Vec<u32>, header: &[u32], ring: &[f64], rows: &mut Vec<MetricsRow>) {
        let Some(state) = &mut self.slots[slot] else { return };
        let width = self.program.columns.len();
        let header_width = 2 + width.div_ceil(32);
        let written = block[control::ROWS];
        for place in state.drained..written {
            let place = place as usize % self.program.capacity;
            let header = &header[place * header_width..][..header_width];
            let valid = |column: usize| header[2 + column / 32] >> (column % 32) & 1 == 1;
            let values = &ring[place * width..][..width];
            rows.push(MetricsRow {
                run: header[0],
                step: u64::from(header[1]),
                values: (0..width)
                    .map(|c| if valid(c) { values[c] } else { f64::NAN })
                    .collect(),
            });
        }
        state.drained = written;
        state.status = status(&block);
        state.block = block;
    }

    /// Refuses to change a slot under steps that are on their way.
    fn check_settled(&self) -> Result<()> {
        match &self.ahead {
            Some(flight) => Err(Error::shape(format!(
                "{} steps were begun ahead: they must be asked for before a slot changes",
                flight.steps
            ))),
            None => Ok(()),
        }
    }

    fn words(&mut self, slot: usize, buffer: BufferId) -> Result<Vec<u32>> {
        match self.executor.download(slot, buffer)? {
            Values::Words(words) => Ok(words),
            Values::Numbers(_) => Err(Error::device("a buffer of words holds numbers")),
        }
    }

    /// The weights of the run in a slot, in the order of its layout.
    ///
    /// # Errors
    /// A device error.
    pub fn weights(&mut self, slot: usize) -> Result<Vec<f64>> {
        match self.executor.download(slot, self.program.parameters)? {
            Values::Numbers(weights) => Ok(weights),
            Values::Words(_) => Err(Error::device("the parameters hold words")),
        }
    }

    /// Replaces the weights of the run in a slot, in the order of its layout; step and moments stay as they are.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Shape`] if the slot is empty, there are more or fewer weights than parameters, or steps are
    /// on their way.
    pub fn set_weights(&mut self, slot: usize, weights: &[f64]) -> Result<()> {
        self.check_settled()?;
        if self.status(slot).is_none() {
            return Err(Error::shape(format!("slot {slot} is empty, expected a run in it")));
        }
        self.executor
            .upload(slot, self.program.parameters, &Values::Numbers(weights.to_vec()))
    }

    /// Contents of every persistent buffer of a slot: all that a run is, beside its configuration.
    ///
    /// # Errors
    /// A device error.
    pub fn state(&mut self, slot: usize) -> Result<Vec<(String, Vec<usize>, Values)>> {
        let plan = self.program.plan.clone();
        plan.persistent()
            .map(|(id, buffer)| {
                Ok((
                    buffer.name.clone(),
                    buffer.shape.clone(),
                    self.executor.download(slot, id)?,
                ))
            })
            .collect()
    }

    /// Puts a state back into a slot that was filled with the same experiment.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Shape`] if a buffer is missing or of another size, or steps are on their way.
    pub fn restore(&mut self, slot: usize, state: &[(String, Values)]) -> Result<()> {
        self.check_settled()?;
        let plan = self.program.plan.clone();
        for (id, buffer) in plan.persistent() {
            let (_, values) = state
                .iter()
                .find(|(name, _)| *name == buffer.name)
                .ok_or_else(|| Error::shape(format!("the state has no buffer {}", buffer.name)))?;
            self.executor.upload(slot, id, values)?;
        }
        let block = self.words(slot, self.program.control)?;
        if let Some(state) = &mut self.slots[slot] {
            state.drained = block[control::ROWS];
            state.status = status(&block);
            state.block = block;
        }
        Ok(())
    }

    /// Precision of its real numbers.
    pub fn precision(&self) -> Precision {
        self.executor.precision()
    }
}

/// The control block of a run that has not begun.
pub(crate) fn control_block(config: &Config, run: u32) -> Vec<u32> {
    let mut block = vec![0; control::WORDS];
    let seed = config.task.seed;
    block[control::RUN] = run;
    block[control::SEED_LOW] = seed as u32;
    block[control::SEED_HIGH] = (seed >> 32) as u32;
    block[control::ACTIVE] = 1;
    block[control::MAX_STEPS] = config.train.steps;
    block[control::STOP_AFTER_GROKKING] = match config.train.stop {
        Stop::Never => u32::MAX,
        Stop::Grokked { plus } => plus,
    };
    block[control::WARMUP] = config.optimizer.warmup;
    for segment in Segment::ALL {
        let cadence = match segment {
            Segment::Scalars => config.stats.scalars_every,
            Segment::Evaluate => config.stats.evaluate_every,
            Segment::Gram => config.stats.gram_every,
            Segment::Decompose | Segment::Measure => config.stats.decompose_every,
            Segment::Begin | Segment::Step | Segment::Update | Segment::End => Cadence::Every(1),
        };
        cadence.words().write(&mut block, segment);
    }
    block
}

fn status(block: &[u32]) -> Status {
    let seen = |word: usize| block[word].checked_sub(1).map(u64::from);
    Status {
        run: block[control::RUN],
        step: block[control::STEP].into(),
        end: match block[control::ENDED] {
            control::ENDED_STEPS => Some(EndReason::Steps),
            control::ENDED_GROKKED => Some(EndReason::Grokked),
            control::ENDED_DIVERGED => Some(EndReason::Diverged),
            _ => None,
        },
        memorised: seen(control::MEMORISED),
        grokked: seen(control::GROKKED),
    }
}
