//! activation — out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
//!
//! in 0 input [len]   out 1 out [len]   params len

use rayon::prelude::*;

use super::normal::cdf_and_density;
use super::support::{ELEMENTS, vectorised};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let kind = args.constant("ACTIVATION");
    let input = args.real("input");
    args.real_mut("out")
        .par_chunks_mut(ELEMENTS)
        .zip(input.par_chunks(ELEMENTS))
        .for_each(|(out, input)| {
            let pairs = out.iter_mut().zip(input);
            match kind {
                // So written, NaN passes, and divergence reaches the guard.
                0 => vectorised(|| pairs.for_each(|(y, x)| *y = if *x <= S::ZERO { S::ZERO } else { *x })),
                1 => vectorised(|| {
                    pairs.for_each(|(y, x)| {
                        let x = x.to_f64();
                        *y = S::from_f64(x * cdf_and_density(x)[0]);
                    });
                }),
                _ => vectorised(|| pairs.for_each(|(y, x)| *y = *x * *x)),
            }
        });
}
