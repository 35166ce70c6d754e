//! region_sums — dot products of x and y within each region, by blocks of 16,384 elements.
//!
//! in 0 x [len]   in 1 y [len]   in 2 ends [regions]   out 3 partial [blocks, regions]   params len, regions
//! order: eight running sums in f64 within a block's share of a region, added ascending

use rayon::prelude::*;

use super::support::{dot_wide, vectorised};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::BLOCK;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, regions] = args.params();
    let (x, y, ends) = (args.real("x"), args.real("y"), args.word("ends"));
    args.wide_mut("partial")
        .par_chunks_exact_mut(regions)
        .zip(x.par_chunks(BLOCK).zip(y.par_chunks(BLOCK)))
        .enumerate()
        .for_each(|(block, (partial, (x, y)))| {
            let mut start = 0;
            for (sum, end) in partial.iter_mut().zip(ends) {
                let end = (*end as usize).saturating_sub(block * BLOCK).clamp(start, x.len());
                let (x, y) = (&x[start..end], &y[start..end]);
                *sum = vectorised(
                    #[inline(always)]
                    || dot_wide(x, y),
                );
                start = end;
            }
        });
}
