//! dot — partial [blocks] = dot products of blocks of 16,384 elements.
//!
//! in 0 x [len]   in 1 y [len]   out 2 partial   params len   order: eight running sums in f64, added ascending

use rayon::prelude::*;

use super::support::{dot_wide, vectorised};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::BLOCK;

pub fn run<S: Scalar>(args: &Args<S>) {
    let (x, y) = (args.real("x"), args.real("y"));
    args.wide_mut("partial")
        .par_iter_mut()
        .zip(x.par_chunks(BLOCK).zip(y.par_chunks(BLOCK)))
        .for_each(|(partial, (x, y))| {
            *partial = vectorised(
                #[inline(always)]
                || dot_wide(x, y),
            );
        });
}
