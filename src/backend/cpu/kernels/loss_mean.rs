//! loss_mean — out [2] = sum of losses / total, hits / total (+ out).
//!
//! in 0 loss [N]   in 1 hit [N]   inout 2 out [2]   params n, total   order: ascending, in f64

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, total] = args.params();
    let loss: f64 = args.real("loss").iter().map(|l| l.to_f64()).sum();
    let hits: f64 = args.word("hit").iter().map(|h| f64::from(*h)).sum();
    let accumulate = args.flag("ACCUMULATE");
    for (to, sum) in args.wide_mut("out").iter_mut().zip([loss, hits]) {
        let value = sum / total as f64;
        *to = if accumulate { *to + value } else { value };
    }
}
