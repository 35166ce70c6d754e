//! filter_share — what of the filtered gradient is the step's own, as a multiple of it: 1 + lambda (1 - alpha), at the first
//! step 1 + lambda (FILTER 0 ema); 1 + lambda / window, and 1 until the window is full (FILTER 1 ma).
//!
//! in 0 scalars (rates)   out 1 share [1]   params window   control: step

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [window] = args.params();
    let step = args.control()[control::STEP] as usize;
    let scalars = args.wide("scalars");
    let weight = match (args.constant("FILTER"), step) {
        (0, 0) => 1.0,
        (0, _) => 1.0 - scalars[control::FILTER_ALPHA],
        (_, step) if step + 1 < window => 0.0,
        _ => 1.0 / window as f64,
    };
    args.wide_mut("share")[0] = 1.0 + scalars[control::FILTER_LAMBDA] * weight;
}
