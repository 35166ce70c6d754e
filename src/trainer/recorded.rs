//! Runs of a trainer as the durable loop of [`crate::record`] sees them.

use super::{Experiment, Trainer};
use crate::backend::{Precision, Values};
use crate::error::{Error, Result};
use crate::model::ModelShape;
use crate::model::weights::{WeightType, shape_metadata, to_tensors};
use crate::plan::Element;
use crate::record::{Chunk, Dtype, Ended, NamedTensor, Run, RunInfo, Snapshot, TensorSet};
use crate::schedule::Scheduled;

/// What is known of a run beside what its slot holds.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    shape: ModelShape,
    attention_mix: Scheduled,
    samples: u64,
    backend: String,
}

impl Identity {
    /// That of an experiment on a backend.
    pub fn new(experiment: &Experiment, backend: &str) -> Self {
        Self {
            shape: experiment.shape.clone(),
            attention_mix: experiment.config.model.attention_mix.clone(),
            samples: experiment.task.train.n as u64,
            backend: backend.to_owned(),
        }
    }
}

/// The run in one slot of a trainer.
pub(crate) struct SlotRun<'a> {
    /// The trainer.
    pub trainer: &'a mut Trainer,
    /// The slot.
    pub slot: usize,
    /// What runs there.
    pub identity: &'a Identity,
}

impl SlotRun<'_> {
    /// Takes over a state.
    pub fn restore(&mut self, state: &TensorSet) -> Result<()> {
        let values = state.tensors.iter().map(|tensor| {
            let values = match tensor.dtype {
                Dtype::U32 => Values::Words(tensor.elements()?),
                Dtype::F32 => Values::Numbers(tensor.elements::<f32>()?.into_iter().map(f64::from).collect()),
                Dtype::F64 => Values::Numbers(tensor.elements()?),
                other => {
                    let name = &tensor.name;
                    return Err(Error::shape(format!(
                        "state tensor {name} is {other}, expected U32, F32 or F64"
                    )));
                }
            };
            Ok((tensor.name.clone(), values))
        });
        self.trainer.restore(self.slot, &values.collect::<Result<Vec<_>>>()?)
    }
}

impl Snapshot for SlotRun<'_> {
    fn weights(&mut self) -> Result<TensorSet> {
        let dtype = match self.trainer.precision() {
            Precision::F32 => WeightType::F32,
            Precision::F64 => WeightType::F64,
        };
        let shape = &self.identity.shape;
        let step = self.trainer.status(self.slot).map_or(0, |status| status.step);
        Ok(TensorSet {
            tensors: to_tensors(shape, &self.trainer.weights(self.slot)?, dtype)?,
            // What a row of this step was measured with.
            metadata: shape_metadata(&shape.clone().with_attention_mix(self.identity.attention_mix.at(step))),
        })
    }

    fn state(&mut self) -> Result<TensorSet> {
        let short = self.trainer.precision() == Precision::F32;
        let elements: Vec<Element> = self
            .trainer
            .plan()
            .persistent()
            .map(|(_, buffer)| buffer.arena.element())
            .collect();
        let tensors = self.trainer.state(self.slot)?.into_iter().zip(elements);
        Ok(TensorSet {
            tensors: tensors
                .map(|((name, shape, values), element)| match values {
                    Values::Words(words) => NamedTensor::new(name, &shape, &words),
                    // Real numbers of an f32 plan are f32 exactly.
                    Values::Numbers(numbers) if short && element == Element::Real => {
                        let numbers: Vec<f32> = numbers.into_iter().map(|x| x as f32).collect();
                        NamedTensor::new(name, &shape, &numbers)
                    }
                    Values::Numbers(numbers) => NamedTensor::new(name, &shape, &numbers),
                })
                .collect(),
            ..TensorSet::default()
        })
    }

    fn describe(&self, info: &mut RunInfo) {
        describe(self.trainer, self.slot, self.identity, info);
    }
}

fn describe(trainer: &Trainer, slot: usize, identity: &Identity, info: &mut RunInfo) {
    info.backend.clone_from(&identity.backend);
    info.device = trainer.executor().device();
    info.precision = trainer.precision().name().to_owned();
    info.parameters = trainer.plan().buffers[0].len() as u64;
    info.samples = identity.samples;
    info.choices = trainer.plan().choices.iter().cloned().collect();
    if let Some(status) = trainer.status(slot) {
        info.memorised_step = status.memorised;
        info.grokked_step = status.grokked;
    }
}

/// The run in slot 0 of a trainer.
pub struct RecordedRun {
    trainer: Trainer,
    identity: Identity,
}

impl RecordedRun {
    /// Starts an experiment in slot 0 of a trainer that runs on this backend.
    ///
    /// # Errors
    /// As [`Trainer::fill`].
    pub fn new(mut trainer: Trainer, experiment: &Experiment, backend: &str) -> Result<Self> {
        trainer.fill(0, 0, experiment)?;
        Ok(Self {
            trainer,
            identity: Identity::new(experiment, backend),
        })
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    fn slot(&mut self) -> SlotRun<'_> {
        SlotRun {
            trainer: &mut self.trainer,
            slot: 0,
            identity: &self.identity,
        }
    }
}

impl Run for RecordedRun {
    fn columns(&self) -> &[String] {
        self.trainer.columns()
    }

    fn step(&self) -> u64 {
        self.trainer.status(0).map_or(0, |status| status.step)
    }

    fn run_chunk(&mut self, limit: u64, ahead: u64) -> Result<Chunk> {
        let steps = limit.saturating_sub(self.step());
        let rows = self.trainer.run_chunk_ahead(steps, ahead.saturating_sub(limit))?;
        let reason = self.trainer.status(0).and_then(|status| status.end);
        let step = self.step();
        Ok(Chunk {
            rows,
            ended: reason.map(|reason| Ended { reason, step }),
        })
    }

    fn goes_ahead(&self) -> bool {
        self.trainer.is_asynchronous()
    }

    fn weights(&mut self) -> Result<TensorSet> {
        self.slot().weights()
    }

    fn state(&mut self) -> Result<TensorSet> {
        self.slot().state()
    }

    fn restore(&mut self, state: &TensorSet) -> Result<()> {
        self.slot().restore(state)
    }

    fn describe(&self, info: &mut RunInfo) {
        describe(&self.trainer, 0, &self.identity, info);
    }
}
