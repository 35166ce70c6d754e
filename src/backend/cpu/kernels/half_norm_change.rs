//! half_norm_change — partial [blocks] = sums of (after - before)(after + before)/2: the change of half the squared
//! norm, or half the squared norm itself without BEFORE.
//!
//! in 0 before [len] (BEFORE)   in 1 after [len]   out 2 partial   params len
//! order: ascending within blocks of 16,384, in f64

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};
use crate::plan::BLOCK;

pub fn run<S: Scalar>(args: &Args<S>) {
    let after = args.real("after");
    let before = args.flag("BEFORE").then(|| args.real("before"));
    args.wide_mut("partial").par_iter_mut().enumerate().for_each(|(block, partial)| {
        let range = block * BLOCK..after.len().min((block + 1) * BLOCK);
        *partial = range
            .map(|k| {
                let (x, y) = (before.map_or(0.0, |b| b[k].to_f64()), after[k].to_f64());
                (y - x) * (y + x) * 0.5
            })
            .sum();
    });
}
