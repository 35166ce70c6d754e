//! gradient_noise — x = x + noise normal, the draws keyed by the run's seed and the step. With RELATIVE the noise is in
//! units of sqrt(mean_square / len).
//!
//! inout 0 x [len]   in 1 scalars (rates, mean square)   params len   control: seed, step

use rayon::prelude::*;

use super::support::ELEMENTS;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;
use crate::random::{Purpose, Stream};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [len] = args.params();
    let scalars = args.wide("scalars");
    let unit = if args.flag("RELATIVE") { (scalars[control::MEAN_SQUARE] / len as f64).sqrt() } else { 1.0 };
    let sd = scalars[control::NOISE] * unit;
    if sd == 0.0 {
        return;
    }
    let draws = Stream::new(control::seed(args.control()), Purpose::GradientNoise).substream(args.control()[control::STEP]);
    args.real_mut("x")
        .par_chunks_mut(ELEMENTS)
        .enumerate()
        .for_each(|(block, x)| {
            let first = block * ELEMENTS / 2;
            for (pair, x) in x.chunks_mut(2).enumerate() {
                for (x, normal) in x.iter_mut().zip(draws.normals((first + pair) as u64)) {
                    *x += S::from_f64(sd * normal);
                }
            }
        });
}
