//! activation — out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
//!
//! in 0 input [len]   out 1 out [len]   params len

use pulp::{Arch, NullaryFnOnce};
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
            let arch = Arch::new();
            match (kind, S::PRECISION) {
                // So written, NaN passes, and divergence reaches the guard.
                (0, _) => each(out, input, |x| if x <= S::ZERO { S::ZERO } else { x }),
                (1, Precision::F32) => arch.dispatch(Gelu {
                    out,
                    input,
                    series: &SINGLE,
                }),
                (1, Precision::F64) => arch.dispatch(Gelu {
                    out,
                    input,
                    series: &DOUBLE,
                }),
                _ => each(out, input, |x| x * x),
            }
        });
}

/// A function of every element.
fn each<S: Scalar>(out: &mut [S], input: &[S], f: impl Fn(S) -> S) {
    vectorised(|| out.iter_mut().zip(input).for_each(|(y, x)| *y = f(*x)));
}

/// GELU of one task's elements. A closure of this length would not be inlined into the code for each kind of vectors, and so
/// would have none.
struct Gelu<'a, S, const E: usize, const C: usize> {
    out: &'a mut [S],
    input: &'a [S],
    series: &'a Series<E, C>,
}

impl<S: Scalar, const E: usize, const C: usize> NullaryFnOnce for Gelu<'_, S, E, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (y, x) in self.out.iter_mut().zip(self.input) {
            let x = x.to_f64();
            *y = S::from_f64(x * cdf_and_density(x, self.series)[0]);
        }
    }
}
