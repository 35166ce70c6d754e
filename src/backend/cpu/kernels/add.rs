//! add — out = input + out.
//!
//! in 0 input [len]   inout 1 out [len]   params len

use super::support::{add_scaled, vectorised};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let (input, out) = (args.real("input"), args.real_mut("out"));
    vectorised(|| add_scaled(out, S::ONE, input));
}
