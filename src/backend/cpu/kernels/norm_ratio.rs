//! norm_ratio — factor = sqrt(before) / (sqrt(after) + 1e-30): brings a vector back to its norm, region by region.
//!
//! in 0 before [regions]   in 1 after [regions], both squared norms   out 2 factor [regions]   params regions

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let norms = args.wide("before").iter().zip(args.wide("after"));
    for (factor, (before, after)) in args.wide_mut("factor").iter_mut().zip(norms) {
        *factor = before.sqrt() / (after.sqrt() + 1e-30);
    }
}
