//! activation — out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
//!
//! in 0 input [len]   out 1 out [len]   params len

use rayon::prelude::*;

use super::normal::{DOUBLE, SINGLE, Series, cdf_and_density};
use super::support::{ELEMENTS, vectorised};
use crate::backend::Precision;
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
                1 => match S::PRECISION {
                    Precision::F32 => gelu(pairs, &SINGLE),
                    Precision::F64 => gelu(pairs, &DOUBLE),
                },
                _ => vectorised(|| pairs.for_each(|(y, x)| *y = *x * *x)),
            }
        });
}

fn gelu<'a, S: Scalar, const E: usize, const C: usize>(
    pairs: impl Iterator<Item = (&'a mut S, &'a S)>,
    series: &Series<E, C>,
) {
    vectorised(|| {
        // A loop: as the body of `for_each` it would be too long to be inlined, and so would have no vectors.
        for (y, x) in pairs {
            let x = x.to_f64();
            *y = S::from_f64(x * cdf_and_density(x, series)[0]);
        }
    });
}
