//! Carrying the state of a run over to another configuration: its plan may have other buffers.

use super::point::{CONTROL, HELD, MOMENTS, PARAMETERS};
use crate::config::{Config, OptimizerKind, Regions};
use crate::error::{Error, Result};
use crate::model::Layout;
use crate::plan::{Buffer, Element, Segment, control};
use crate::record::{Dtype, NamedTensor, TensorSet};
use crate::trainer::{Experiment, control_block};

/// The state in which a run of `to` goes on where one of `from` stood.
///
/// Buffers that both plans have are carried over as they are. The control block is that of `to`, with the counters of the
/// old one; a run that had ended goes on. Moments go over where both rules keep the same ones, else they begin at zero. What
/// only the new plan has begins as in a new run, but a norm that is held from here on is the present one.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if the network is another, or the run would end at once.
pub(super) fn carry(state: &TensorSet, from: &Config, to: &Experiment) -> Result<TensorSet> {
    let plan = to.program()?.plan;
    let layout = Layout::new(&to.shape);
    let parameters = state.get(PARAMETERS)?;
    if parameters.shape != [layout.len] || Experiment::new(from)?.shape != to.shape {
        return Err(Error::config(
            "the settings ask for another network than the checkpoint holds; a branch keeps its parent's",
        ));
    }
    let same_task = from.task == to.config.task;
    let mut tensors = Vec::new();
    for (_, buffer) in plan.persistent() {
        let old = state.tensors.iter().find(|tensor| tensor.name == buffer.name);
        tensors.push(match (buffer.name.as_str(), old) {
            (CONTROL, Some(old)) => go_on(&old.elements()?, &to.config, same_task)?,
            (MOMENTS, Some(old)) => moments(old, buffer, [from.optimizer.kind, to.config.optimizer.kind]),
            ("history", Some(_)) if !same_task => empty(buffer, parameters.dtype),
            (HELD, None) => NamedTensor::new(
                HELD,
                &buffer.shape,
                &squares(&layout, &numbers(parameters)?, to.config.optimizer.hold_norm),
            ),
            (_, Some(old)) if old.shape == buffer.shape => old.clone(),
            _ => empty(buffer, parameters.dtype),
        });
    }
    Ok(TensorSet {
        tensors,
        ..TensorSet::default()
    })
}

/// The control block of a configuration for a run that stands where this block says.
fn go_on(old: &[u32], config: &Config, same_task: bool) -> Result<NamedTensor> {
    let step = old[control::STEP];
    let mut block = control_block(config, old[control::RUN]);
    let mut kept = vec![control::STEP, control::ROWS];
    if same_task {
        kept.extend([control::MEMORISED, control::GROKKED, control::EVALUATIONS]);
    }
    kept.extend(Segment::ALL.map(control::due));
    for word in kept {
        block[word] = old[word];
    }
    for segment in Segment::ALL {
        let mut schedule = control::Schedule::read(&block, segment);
        while schedule.mode == control::LOG && schedule.next < step {
            schedule.next = control::following(schedule.next, schedule.every);
        }
        schedule.write(&mut block, segment);
    }
    let steps = config.train.steps;
    if step >= steps {
        return Err(Error::config(format!(
            "train.steps = {steps} leaves no step behind {step}, where the branch begins; expected more, as --set \
             train.steps={}",
            step.saturating_add(1000)
        )));
    }
    let (grokked, after) = (block[control::GROKKED], block[control::STOP_AFTER_GROKKING]);
    if after != u32::MAX && grokked != 0 && step >= after.saturating_add(grokked - 1) {
        return Err(Error::config(format!(
            "train.stop = \"grokked+{after}\" has been reached at step {step}, where the branch begins; expected --set \
             train.stop=never"
        )));
    }
    Ok(NamedTensor::new(CONTROL, &[block.len()], &block))
}

/// Which rules keep the same moments: rows are m, v and the previous gradient, then decay's own share of m.
fn family(kind: OptimizerKind) -> u32 {
    match kind {
        OptimizerKind::Sgd => 0,
        OptimizerKind::Momentum | OptimizerKind::Nesterov => 1,
        OptimizerKind::Adam | OptimizerKind::Adamw => 2,
    }
}

fn moments(old: &NamedTensor, buffer: &Buffer, [from, to]: [OptimizerKind; 2]) -> NamedTensor {
    let mut new = empty(buffer, old.dtype);
    let row = old.bytes.len() / old.shape[0];
    let rows = new.shape[0].min(old.shape[0]);
    let first = if family(from) == family(to) { 0 } else { 2 };
    // Of another family only the previous gradient goes over.
    let last = if first == 0 { rows } else { 3 };
    new.bytes[first * row..last * row].copy_from_slice(&old.bytes[first * row..last * row]);
    new
}

fn empty(buffer: &Buffer, real: Dtype) -> NamedTensor {
    let dtype = match buffer.arena.element() {
        Element::Word => Dtype::U32,
        Element::Wide => Dtype::F64,
        Element::Real => real,
    };
    let bytes = match dtype {
        Dtype::F64 => 8,
        _ => 4,
    };
    NamedTensor {
        name: buffer.name.clone(),
        dtype,
        shape: buffer.shape.clone(),
        bytes: vec![0; buffer.len() * bytes],
    }
}

/// Squared norms of the weights by region.
pub(super) fn squares(layout: &Layout, weights: &[f64], regions: Regions) -> Vec<f64> {
    let square = |part: &[f64]| part.iter().map(|w| w * w).sum::<f64>();
    match regions {
        Regions::Tensor => layout
            .tensors
            .iter()
            .map(|tensor| square(&weights[tensor.offset..tensor.offset + tensor.len()]))
            .collect(),
        Regions::None | Regions::Global => vec![square(weights)],
    }
}

/// Real numbers of a state, whatever their width.
pub(super) fn numbers(tensor: &NamedTensor) -> Result<Vec<f64>> {
    match tensor.dtype {
        Dtype::F32 => Ok(tensor.elements::<f32>()?.into_iter().map(f64::from).collect()),
        _ => tensor.elements(),
    }
}
