//! sum_rows — out [width] = sums of the rows of partial.
//!
//! in 0 partial [rows, width]   out 1 out [width]   params rows, width   order: rows ascending

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, width] = args.params();
    let out = args.wide_mut("out");
    out.fill(0.0);
    for row in args.wide("partial").chunks_exact(width) {
        out.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}
