//! clip — factor = min(1, clip / (|x| + 1e-6)), as PyTorch's clip_grad_norm_; 1 where clip is 0.
//!
//! in 0 square [1] = |x|^2   in 1 scalars (rates)   out 2 factor [1]

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let clip = args.wide("scalars")[control::CLIP];
    let norm = args.wide("square")[0].sqrt();
    let factor = clip / (norm + 1e-6);
    args.wide_mut("factor")[0] = if clip == 0.0 || factor >= 1.0 { 1.0 } else { factor };
}
