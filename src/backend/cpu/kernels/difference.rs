//! difference — out [1] = sum over samples of (after - before) / divisor (+ out); without BEFORE of after / divisor.
//!
//! in 0 before [N] (BEFORE)   in 1 after [N]   inout 2 out [1]   params n, divisor   order: ascending, in f64

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, divisor] = args.params();
    let after = args.real("after").iter().map(|x| x.to_f64());
    let sum: f64 = if args.flag("BEFORE") {
        after.zip(args.real("before")).map(|(after, before)| after - before.to_f64()).sum()
    } else {
        after.sum()
    };
    let out = &mut args.wide_mut("out")[0];
    let value = sum / divisor as f64;
    *out = if args.flag("ACCUMULATE") { *out + value } else { value };
}
