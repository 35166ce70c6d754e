//! decompose — products of the property gradients with each other and with the parts of the coming update.
//!
//! in 0 gradients [1 + K, P]: the step's mean gradient, then one per property   in 1 shaped [3, P], with SHAPED: what the
//! optimiser takes, what of it the step's gradient gives now, what that of the whole split would give now
//! in 2 theta [P]   in 3 moments [3, P], with OPTIMIZER 1, 2 and 4 [4, P]   in 4 scalars (rates)   in 5 spans [tensors, 2]
//! out 6 partial [blocks, K K + 4 K], with OPTIMIZER 1, 2 and 4 [blocks, K K + 5 K]   params len P, tensors,
//! properties K, full (row of `gradients`, with SHAPED of `shaped`, with what the mean gradient over the whole training
//! split gives)   order: ascending within blocks of 16,384, in f64
//!
//! Parts of the update: selection, what the full gradient does now; noise, what the minibatch adds to it; lagged, what
//! earlier gradients do through the moments and through what shaped the gradient; decay, that of weight decay and L1 now;
//! decay_lagged, where decay goes through moments (OPTIMIZER 1, 2 and 4), what that of earlier steps still does. Adam's
//! metric 1/(sqrt(v_t / c2) + eps) contains the step's own gradient.

use rayon::prelude::*;

use super::rates::{Rates, kind, pieces};
use super::support::{dot_wide, vectorised};
use crate::backend::cpu::{Args, Scalar};
use crate::config::OptimizerKind;
use crate::plan::BLOCK;
use crate::plan::layout::{UPDATE_PARTS, update_parts};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [len, _, properties, full] = args.params();
    let optimizer = kind(args.constant("OPTIMIZER"));
    let (gradients, theta, moments) = (args.real("gradients"), args.real("theta"), args.real("moments"));
    // Rows of what the optimiser takes, of what is the step's own in it, and of the whole split's share.
    let (taken, rows) = if args.flag("SHAPED") { (args.real("shaped"), [0, 1, full]) } else { (gradients, [0, 0, full]) };
    let (scalars, spans) = (args.wide("scalars"), args.word("spans"));
    let rates = Rates::read(scalars);
    let remembers = optimizer.remembers_decay();
    let count = update_parts(remembers);
    let width = properties * properties + count * properties;
    args.wide_mut("partial")
        .par_chunks_exact_mut(width)
        .enumerate()
        .for_each(|(block, partial)| {
            let range = block * BLOCK..len.min((block + 1) * BLOCK);
            let mut parts = vec![vec![0.0; range.len()]; count];
            for (piece, decay) in pieces(range.clone(), spans, scalars) {
                for k in piece {
                    let share = if remembers { moments[3 * len + k].to_f64() } else { 0.0 };
                    let change = split(
                        optimizer,
                        &rates,
                        decay,
                        theta[k].to_f64(),
                        rows.map(|row| taken[row * len + k].to_f64()),
                        [moments[k].to_f64() - share, moments[len + k].to_f64(), share],
                    );
                    for (part, value) in parts.iter_mut().zip(change) {
                        part[k - range.start] = value;
                    }
                }
            }
            let row = |x: usize| &gradients[(1 + x) * len..][range.clone()];
            let (pairs, along) = partial.split_at_mut(properties * properties);
            vectorised(
                #[inline(always)]
                || {
                    for x in 0..properties {
                        for y in 0..properties {
                            pairs[x * properties + y] = dot_wide(row(x), row(y));
                        }
                        for (place, part) in parts.iter().enumerate() {
                            along[x * count + place] =
                                row(x).iter().zip(part).map(|(g, change)| g.to_f64() * change).sum();
                        }
                    }
                },
            );
        });
}

/// The parts of one weight's change: selection, lagged, noise, decay, decay_lagged. `m` is the first moment without
/// decay's share of it.
fn split(
    optimizer: OptimizerKind,
    rates: &Rates,
    decay: f64,
    w: f64,
    [taken, now, full]: [f64; 3],
    [m, v, share]: [f64; 3],
) -> [f64; UPDATE_PARTS] {
    let Rates {
        lr,
        beta1,
        beta2,
        eps,
        l1,
        correction1,
        correction2,
    } = *rates;
    let (noise, earlier) = (now - full, taken - now);
    // The sign of f64 has no zero.
    let sign = f64::from(i8::from(w > 0.0) - i8::from(w < 0.0));
    let pull = decay * w + l1 * sign;
    match optimizer {
        OptimizerKind::Sgd => [-lr * full, -lr * earlier, -lr * noise, -lr * pull, 0.0],
        OptimizerKind::Momentum => [
            -lr * full,
            -lr * (beta1 * m + earlier),
            -lr * noise,
            -lr * pull,
            -lr * beta1 * share,
        ],
        OptimizerKind::Nesterov => {
            let now = -lr * (1.0 + beta1);
            let past = -lr * beta1 * beta1;
            [now * full, now * earlier + past * m, now * noise, now * pull, past * share]
        }
        OptimizerKind::Adam | OptimizerKind::Adamw => {
            let coupled = if optimizer == OptimizerKind::Adam { pull } else { 0.0 };
            let v = beta2 * v + (1.0 - beta2) * (taken + coupled) * (taken + coupled);
            let metric = 1.0 / ((v / correction2).sqrt() + eps);
            let now = -lr * (1.0 - beta1) / correction1 * metric;
            let past = -lr * beta1 / correction1 * metric;
            let decayed = if optimizer == OptimizerKind::Adam { now * coupled } else { -lr * pull };
            [now * full, past * m + now * earlier, now * noise, decayed, past * share]
        }
    }
}
