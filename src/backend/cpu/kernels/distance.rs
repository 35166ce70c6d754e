//! distance — partial [blocks] of |x - y|^2, by blocks of 16,384 elements.
//!
//! in 0 x [len]   in 1 y [len]   out 2 partial   params len   order: ascending, in f64

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};
use crate::plan::BLOCK;

pub fn run<S: Scalar>(args: &Args<S>) {
    let (x, y) = (args.real("x"), args.real("y"));
    args.wide_mut("partial")
        .par_iter_mut()
        .zip(x.par_chunks(BLOCK).zip(y.par_chunks(BLOCK)))
        .for_each(|(partial, (x, y))| {
            let squares = x.iter().zip(y).map(|(x, y)| (x.to_f64() - y.to_f64()).powi(2));
            *partial = squares.sum();
        });
}
