//! The step's rates and the weight decay of every parameter, as the optimiser's kernels read them.

use std::ops::Range;

use crate::config::OptimizerKind;
use crate::plan::control;

/// How the optimiser's constant reads.
pub fn kind(code: u32) -> OptimizerKind {
    match code {
        0 => OptimizerKind::Sgd,
        1 => OptimizerKind::Momentum,
        2 => OptimizerKind::Adam,
        3 => OptimizerKind::Adamw,
        _ => OptimizerKind::Nesterov,
    }
}

/// This step's numbers, from the head of the scalars.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// Pull of every weight towards zero.
    pub l1: f64,
    /// 1 - beta1^t
    pub correction1: f64,
    /// 1 - beta2^t
    pub correction2: f64,
}

impl Rates {
    pub fn read(scalars: &[f64]) -> Self {
        Self {
            lr: scalars[control::LR],
            beta1: scalars[control::BETA1],
            beta2: scalars[control::BETA2],
            eps: scalars[control::EPS],
            l1: scalars[control::L1],
            correction1: scalars[control::CORRECTION1],
            correction2: scalars[control::CORRECTION2],
        }
    }
}

/// Splits a range of parameters at the borders of tensors: each piece with its weight decay. `spans` holds the end and
/// the group of every tensor.
pub fn pieces<'a>(
    range: Range<usize>,
    spans: &'a [u32],
    scalars: &'a [f64],
) -> impl Iterator<Item = (Range<usize>, f64)> + 'a {
    let mut start = range.start;
    spans.chunks_exact(2).filter_map(move |span| {
        let end = (span[0] as usize).min(range.end);
        (end > start).then(|| {
            let piece = start..end;
            start = end;
            (piece, scalars[control::DECAY + span[1] as usize])
        })
    })
}
