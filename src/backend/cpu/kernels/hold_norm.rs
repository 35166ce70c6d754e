//! hold_norm — what brings the weights back to the norm that is held, region by region: factor = norm / sqrt(after) and
//! excess = factor - 1, norm the step's multiple of sqrt(aim); 1 and 0 where either is zero.
//!
//! in 0 before [regions]   in 1 after [regions], squared norms around the update   in 2 scalars (rates)
//! inout 3 aim [regions], `before` of the first step   out 4 factor   out 5 excess   params regions   control: step

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let aim = args.wide_mut("aim");
    if args.control()[control::STEP] == 0 {
        aim.copy_from_slice(args.wide("before"));
    }
    let multiple = args.wide("scalars")[control::HOLD_FACTOR];
    let (factor, excess) = (args.wide_mut("factor"), args.wide_mut("excess"));
    for (region, (aim, after)) in aim.iter().zip(args.wide("after")).enumerate() {
        let (norm, after) = (multiple * aim.sqrt(), after.sqrt());
        let holds = norm > 0.0 && after > 0.0;
        factor[region] = if holds { norm / after } else { 1.0 };
        excess[region] = if holds { (norm - after) / after } else { 0.0 };
    }
}
