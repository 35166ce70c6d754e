//! optimizer — one update of the weights, its moments, and the sums from which its norms and cosines follow.
//! OPTIMIZER 0 sgd, 1 momentum, 2 adam (coupled L2), 3 adamw, 4 nesterov, each as in PyTorch.
//!
//! inout 0 theta [P]   in 1 gradient [P]   in 2 shaped [P], with SHAPED: what the update follows in the place of the
//! gradient   inout 3 moments [3, P]: m, v, previous gradient; with 1, 2 and 4 [4, P]: decay's own share of m
//! in 4 scalars (rates)   in 5 spans [tensors, 2]: end, group   out 6 partial [blocks, 7]: |theta|^2 (before), |g|^2,
//! |update|^2, g.g_prev, |g_prev|^2, g.m_prev, |m_prev|^2
//! params len P, tensors   order: ascending within blocks of 16,384, in f64
//!
//! Decay and L1 (l1 times the sign of the weight) are added to the gradient, and decoupled in adamw. What of m they are
//! is kept beside it, by m's own recursion with them alone.
//! A weight that would overflow stays as it was, and |update|^2 is not finite: by that `control` ends the run.

use rayon::prelude::*;

use super::rates::{Rates, kind, pieces};
use crate::backend::cpu::{Args, Scalar};
use crate::config::OptimizerKind;
use crate::plan::BLOCK;
use crate::plan::layout::OPTIMIZER_SUMS;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [len, _] = args.params();
    let optimizer = kind(args.constant("OPTIMIZER"));
    let (gradient, spans, scalars) = (args.real("gradient"), args.word("spans"), args.wide("scalars"));
    let taken = if args.flag("SHAPED") { args.real("shaped") } else { gradient };
    let rates = Rates::read(scalars);
    let (first, rest) = args.real_mut("moments").split_at_mut(len);
    let (second, rest) = rest.split_at_mut(len);
    let (previous, decayed) = rest.split_at_mut(len);
    let remembers = optimizer.remembers_decay();
    // Under rules without that row, every block has an empty part of it.
    let decayed: Vec<&mut [S]> = if remembers {
        decayed.chunks_mut(BLOCK).collect()
    } else {
        (0..len.div_ceil(BLOCK)).map(|_| &mut [][..]).collect()
    };
    args.wide_mut("partial")
        .par_chunks_exact_mut(OPTIMIZER_SUMS)
        .zip(args.real_mut("theta").par_chunks_mut(BLOCK))
        .zip(first.par_chunks_mut(BLOCK).zip(second.par_chunks_mut(BLOCK)))
        .zip(previous.par_chunks_mut(BLOCK).zip(decayed))
        .enumerate()
        .for_each(|(block, (((partial, theta), (m, v)), (previous, decayed)))| {
            let start = block * BLOCK;
            let gradient = &gradient[start..][..theta.len()];
            let taken = &taken[start..][..theta.len()];
            let mut sums = [0.0; OPTIMIZER_SUMS];
            for (piece, decay) in pieces(start..start + theta.len(), spans, scalars) {
                let rule = Rule::new(optimizer, rates, decay);
                if remembers {
                    for k in piece.start - start..piece.end - start {
                        decayed[k] = rule.remember(theta[k], decayed[k]);
                    }
                }
                for k in piece.start - start..piece.end - start {
                    let (w, g, m_before, g_before) = (theta[k], gradient[k], m[k], previous[k]);
                    let w_after = rule.update(w, taken[k], &mut m[k], &mut v[k]);
                    theta[k] = if w_after.is_finite() { w_after } else { w };
                    previous[k] = g;
                    let (g, m_before, g_before) = (g.to_f64(), m_before.to_f64(), g_before.to_f64());
                    let (w, change) = (w.to_f64(), w_after.to_f64() - w.to_f64());
                    sums[0] += w * w;
                    sums[1] += g * g;
                    sums[2] += change * change;
                    sums[3] += g * g_before;
                    sums[4] += g_before * g_before;
                    sums[5] += g * m_before;
                    sums[6] += m_before * m_before;
                }
            }
            partial.copy_from_slice(&sums);
        });
}

/// An update rule with all its numbers in the precision of the weights.
struct Rule<S> {
    kind: OptimizerKind,
    lr: S,
    keep: S,
    decay: S,
    l1: S,
    beta1: S,
    new1: S,
    beta2: S,
    new2: S,
    step: S,
    root_correction2: S,
    eps: S,
}

impl<S: Scalar> Rule<S> {
    fn new(kind: OptimizerKind, rates: Rates, decay: f64) -> Self {
        Self {
            kind,
            lr: S::from_f64(rates.lr),
            keep: S::from_f64(1.0 - rates.lr * decay),
            decay: S::from_f64(decay),
            l1: S::from_f64(rates.l1),
            beta1: S::from_f64(rates.beta1),
            new1: S::from_f64(1.0 - rates.beta1),
            beta2: S::from_f64(rates.beta2),
            new2: S::from_f64(1.0 - rates.beta2),
            step: S::from_f64(rates.lr / rates.correction1),
            root_correction2: S::from_f64(rates.correction2.sqrt()),
            eps: S::from_f64(rates.eps),
        }
    }

    #[inline(always)]
    fn update(&self, w: S, g: S, m: &mut S, v: &mut S) -> S {
        match self.kind {
            OptimizerKind::Sgd => w - self.lr * (g + self.pull(w)),
            OptimizerKind::Momentum => {
                *m = self.beta1 * *m + (g + self.pull(w));
                w - self.lr * *m
            }
            OptimizerKind::Nesterov => {
                let pull = g + self.pull(w);
                *m = self.beta1 * *m + pull;
                w - self.lr * (pull + self.beta1 * *m)
            }
            OptimizerKind::Adam => self.adam(w, g + self.pull(w), m, v),
            OptimizerKind::Adamw => self.adam(w * self.keep - self.lr * self.towards_zero(w), g, m, v),
        }
    }

    /// Decay's share of m after the step, from that before it.
    #[inline(always)]
    fn remember(&self, w: S, share: S) -> S {
        match self.kind {
            OptimizerKind::Adam => self.beta1 * share + self.new1 * self.pull(w),
            _ => self.beta1 * share + self.pull(w),
        }
    }

    /// What decay and L1 add to the gradient.
    #[inline(always)]
    fn pull(&self, w: S) -> S {
        self.decay * w + self.towards_zero(w)
    }

    /// L1 times the sign of the weight.
    #[inline(always)]
    fn towards_zero(&self, w: S) -> S {
        if w > S::ZERO {
            self.l1
        } else if w < S::ZERO {
            -self.l1
        } else {
            S::ZERO
        }
    }

    #[inline(always)]
    fn adam(&self, w: S, g: S, m: &mut S, v: &mut S) -> S {
        *m = self.beta1 * *m + self.new1 * g;
        *v = self.beta2 * *v + self.new2 * g * g;
        w - self.step * *m / (S::sqrt(*v) / self.root_correction2 + self.eps)
    }
}
