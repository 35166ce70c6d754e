//! adam_metric — M = 1/(sqrt(v/(1 - beta2^t)) + eps) of every parameter, v its second moment after t updates.
//!
//! in 0 moments [3, P] or more rows   in 1 scalars (rates)   out 2 metric [P]   params len P   control: step, which is t
//!
//! Before the first update there are no moments, and all is NaN.

use rayon::prelude::*;

use super::rates::Rates;
use super::support::ELEMENTS;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [len] = args.params();
    let second = &args.real("moments")[len..2 * len];
    let rates = Rates::read(args.wide("scalars"));
    let step = args.control()[control::STEP];
    let correction = -(f64::from(step) * rates.beta2.ln()).exp_m1();
    args.real_mut("metric")
        .par_chunks_mut(ELEMENTS)
        .zip(second.par_chunks(ELEMENTS))
        .for_each(|(out, second)| {
            for (to, v) in out.iter_mut().zip(second) {
                let metric = 1.0 / ((v.to_f64() / correction).sqrt() + rates.eps);
                *to = S::from_f64(if step == 0 { f64::NAN } else { metric });
            }
        });
}
