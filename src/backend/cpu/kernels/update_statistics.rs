//! update_statistics — 2-norms of parameters, mean gradient and update; cos(g_t, g_{t-1}) and cos(g_t, m_{t-1}), null
//! where either vector is zero; the update's norm is null where the update is not finite.
//!
//! in 0 sums [7], see `optimizer`   in 1 distance [1], with HELD: the squared norm of the whole update   inout 2 scalars

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::RATES;
use crate::stats::columns;

pub fn run<S: Scalar>(args: &Args<S>) {
    let sums = args.wide("sums");
    let row = &mut args.wide_mut("scalars")[RATES..];
    row[columns::WEIGHT_NORM] = sums[0].sqrt();
    row[columns::GRADIENT_NORM] = sums[1].sqrt();
    // NaN stands for null, here for an update that overflowed and below for 0/0.
    let square = if args.flag("HELD") { args.wide("distance")[0] } else { sums[2] };
    row[columns::UPDATE_NORM] = if sums[2].is_finite() { square.sqrt() } else { f64::NAN };
    row[columns::TEMPORAL_COSINE] = sums[3] / (sums[1].sqrt() * sums[4].sqrt());
    row[columns::MOMENTUM_COSINE] = sums[5] / (sums[1].sqrt() * sums[6].sqrt());
}
