//! activation_backward — cotangent = cotangent * f'(input), in place; f as in `activation`, relu'(0) = 0.
//!
//! in 0 input [len]   inout 1 cotangent [len]   params len

use rayon::prelude::*;

use super::normal::{DOUBLE, SINGLE, Series, cdf_and_density};
use super::support::{ELEMENTS, vectorised};
use crate::backend::Precision;
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let kind = args.constant("ACTIVATION");
    let input = args.real("input");
    args.real_mut("cotangent")
        .par_chunks_mut(ELEMENTS)
        .zip(input.par_chunks(ELEMENTS))
        .for_each(|(cotangent, input)| {
            let pairs = cotangent.iter_mut().zip(input);
            match kind {
                0 => vectorised(|| pairs.for_each(|(y, x)| *y = if *x > S::ZERO { *y } else { S::ZERO })),
                1 => match S::PRECISION {
                    Precision::F32 => gelu(pairs, &SINGLE),
                    Precision::F64 => gelu(pairs, &DOUBLE),
                },
                _ => vectorised(|| pairs.for_each(|(y, x)| *y *= *x + *x)),
            }
        });
}

fn gelu<'a, S: Scalar, const E: usize, const C: usize>(
    pairs: impl Iterator<Item = (&'a mut S, &'a S)>,
    series: &Series<E, C>,
) {
    vectorised(|| {
        // A loop, as in `activation`.
        for (y, x) in pairs {
            let x = x.to_f64();
            let [cdf, density] = cdf_and_density(x, series);
            *y *= S::from_f64(cdf + x * density);
        }
    });
}
