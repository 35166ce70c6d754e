//! scale — x = factor[region] x, region by region.
//!
//! inout 0 x [len]   in 1 factor [regions]   in 2 ends [regions]   params len, regions
//!
//! The factor is rounded to the precision of x first. Where it is 1, x keeps its bits.

use rayon::prelude::*;

use super::support::{ELEMENTS, within};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let (factor, ends) = (args.wide("factor"), args.word("ends"));
    args.real_mut("x")
        .par_chunks_mut(ELEMENTS)
        .enumerate()
        .for_each(|(block, x)| {
            for (region, places) in within(block * ELEMENTS, x.len(), ends) {
                let factor = S::from_f64(factor[region]);
                x[places].iter_mut().for_each(|x| *x *= factor);
            }
        });
}
