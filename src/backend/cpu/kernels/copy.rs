//! copy — out = input.
//!
//! in 0 input [len]   out 1 out [len]   params len

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    args.real_mut("out").copy_from_slice(args.real("input"));
}
