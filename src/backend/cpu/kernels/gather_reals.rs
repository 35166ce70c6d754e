//! gather_reals — out[i, :] = source[indices[i], :].
//!
//! in 0 indices [B]   in 1 source [N, d]   out 2 out [B, d]   params batch B, width d

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, width] = args.params();
    let (indices, source) = (args.word("indices"), args.real("source"));
    for (row, index) in args.real_mut("out").chunks_exact_mut(width).zip(indices) {
        row.copy_from_slice(&source[*index as usize * width..][..width]);
    }
}
