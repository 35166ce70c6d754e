//! Losses as ops.

use crate::config::LossKind;
use crate::model::Forward;
use crate::plan::{Arena, Kernel, PlanBuilder, View, call};

impl LossKind {
    /// Its number in kernels.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// The losses of a pass, and the cotangent from which its backward pass starts.
#[derive(Debug, Clone, Copy)]
pub struct Losses {
    /// `[N]`
    pub loss: View,
    /// `[N]`: 1 where the label has the largest logit.
    pub hit: View,
}

/// A cotangent of the logits, scaled per sample by a power of two.
#[derive(Debug, Clone, Copy)]
pub struct Cotangent {
    /// `[N, V]`, times 2^exponent.
    pub logits: View,
    /// `[N]`
    pub exponent: View,
}

impl Cotangent {
    /// Room for the cotangent of `n` samples' logits.
    pub fn new(builder: &mut PlanBuilder, n: usize, classes: usize) -> Self {
        Self {
            logits: builder.buffer(Arena::Cotangents, "d_logits", &[n, classes]),
            exponent: builder.buffer(Arena::Words, "exponent", &[n]),
        }
    }
}

/// Adds the losses of a pass into `loss`, and with `cotangent` their cotangents.
pub fn losses(
    builder: &mut PlanBuilder,
    kind: LossKind,
    forward: &Forward,
    loss: View,
    cotangent: Option<Cotangent>,
) -> Losses {
    losses_of(builder, kind, forward.logits, forward.batch.labels, loss, cotangent)
}

/// Adds the losses of any logits with these labels into `loss`, and with `cotangent` their cotangents.
pub fn losses_of(
    builder: &mut PlanBuilder,
    kind: LossKind,
    logits: View,
    labels: View,
    loss: View,
    cotangent: Option<Cotangent>,
) -> Losses {
    let n = labels.len();
    let classes = logits.len() / n.max(1);
    let hit = builder.buffer(Arena::Words, "hit", &[n]);
    let mut bindings = vec![logits, labels, loss, hit];
    if let Some(cotangent) = cotangent {
        bindings.extend([cotangent.logits, cotangent.exponent]);
    }
    builder.op(
        "loss",
        vec![call(
            Kernel::Loss,
            &[("LOSS", kind.code()), ("GRADIENT", u32::from(cotangent.is_some()))],
            &bindings,
            &[n, classes],
        )],
    );
    Losses { loss, hit }
}

/// Adds mean loss and accuracy over `total` samples into `out [2]`, or adds to what is there.
pub fn means(builder: &mut PlanBuilder, losses: Losses, out: View, total: usize, accumulate: bool) {
    builder.op(
        "loss.mean",
        vec![call(
            Kernel::LossMean,
            &[("ACCUMULATE", u32::from(accumulate))],
            &[losses.loss, losses.hit, out],
            &[losses.loss.len(), total],
        )],
    );
}
