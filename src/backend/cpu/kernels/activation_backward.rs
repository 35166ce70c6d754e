//! activation_backward — cotangent = cotangent * f'(input), in place; f as in `activation`, relu'(0) = 0.
//!
//! in 0 input [len]   inout 1 cotangent [len]   params len

use pulp::{Arch, NullaryFnOnce};
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
            let arch = Arch::new();
            match (kind, S::PRECISION) {
                (0, _) => each(cotangent, input, |y, x| if x > S::ZERO { y } else { S::ZERO }),
                (1, Precision::F32) => arch.dispatch(GeluBackward {
                    cotangent,
                    input,
                    series: &SINGLE,
                }),
                (1, Precision::F64) => arch.dispatch(GeluBackward {
                    cotangent,
                    input,
                    series: &DOUBLE,
                }),
                _ => each(cotangent, input, |y, x| y * (x + x)),
            }
        });
}

/// Every cotangent by a function of it and its input.
fn each<S: Scalar>(cotangent: &mut [S], input: &[S], f: impl Fn(S, S) -> S) {
    vectorised(|| cotangent.iter_mut().zip(input).for_each(|(y, x)| *y = f(*y, *x)));
}

/// The slope of GELU times one task's cotangents; no closure, as in `activation`.
struct GeluBackward<'a, S, const E: usize, const C: usize> {
    cotangent: &'a mut [S],
    input: &'a [S],
    series: &'a Series<E, C>,
}

impl<S: Scalar, const E: usize, const C: usize> NullaryFnOnce for GeluBackward<'_, S, E, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (y, x) in self.cotangent.iter_mut().zip(self.input) {
            let x = x.to_f64();
            let [cdf, density] = cdf_and_density(x, self.series);
            *y *= S::from_f64(cdf + x * density);
        }
    }
}
