//! perpendicular — x = x - (x.theta / (|theta|^2 + 1e-30)) theta, region by region.
//!
//! inout 0 x [len]   in 1 theta [len]   in 2 along [regions] = x.theta   in 3 square [regions] = |theta|^2
//! in 4 ends [regions]   params len, regions

use rayon::prelude::*;

use super::support::{ELEMENTS, within};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let (theta, ends) = (args.real("theta"), args.word("ends"));
    let (along, square) = (args.wide("along"), args.wide("square"));
    args.real_mut("x")
        .par_chunks_mut(ELEMENTS)
        .zip(theta.par_chunks(ELEMENTS))
        .enumerate()
        .for_each(|(block, (x, theta))| {
            for (region, places) in within(block * ELEMENTS, x.len(), ends) {
                let share = S::from_f64(along[region] / (square[region] + 1e-30));
                for (x, w) in x[places.clone()].iter_mut().zip(&theta[places]) {
                    *x -= share * *w;
                }
            }
        });
}
