//! scaled_product — the product of a matrix with rows that carry a power of two each, its rows again scaled by one:
//! out[i, :] = 2^out_exponent[i] sum over j of matrix[i, j] 2^-exponent[j] x[j, :], the largest of a row in [1/2, 1).
//!
//! in 0 matrix [m, k]   in 1 x [k, n]   in 2 exponent [k]   out 3 out [m, n]   out 4 out_exponent [m]   params m, k, n
//! order: j ascending, in f64
//!
//! Terms are added relative to the largest that any of them can be, so that none overflows, and only what is lost beside
//! another underflows. Rows of x that are zero have no scale of their own and are left out.

use rayon::prelude::*;

use super::scaled::scale_by;
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, k, n] = args.params();
    let (matrix, x) = (args.real("matrix"), args.real("x"));
    let exponents: Vec<Option<i32>> = args
        .word("exponent")
        .iter()
        .zip(x.chunks_exact(n))
        .map(|(exponent, row)| row.iter().any(|v| *v != S::ZERO).then(|| exponent.cast_signed()))
        .collect();
    args.real_mut("out")
        .par_chunks_exact_mut(n)
        .zip(args.word_mut("out_exponent").par_iter_mut())
        .enumerate()
        .for_each(|(i, (out, out_exponent))| {
            let terms = || {
                let weights = matrix[i * k..][..k].iter().map(|w| w.to_f64());
                let rows = exponents.iter().zip(x.chunks_exact(n));
                weights
                    .zip(rows)
                    .filter_map(|(weight, (exponent, row))| Some((weight, (*exponent)?, row)))
                    .filter(|(weight, ..)| *weight != 0.0)
            };
            let Some(base) = terms().map(|(weight, exponent, _)| exponent - libm::frexp(weight).1).min() else {
                out.fill(S::ZERO);
                *out_exponent = 0;
                return;
            };
            let mut sums = vec![0.0; n];
            for (weight, exponent, row) in terms() {
                let factor = weight * f64::from(base - exponent).exp2();
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += factor * v.to_f64());
            }
            out.iter_mut().zip(&sums).for_each(|(to, sum)| *to = S::from_f64(*sum));
            let power = scale_by(out);
            let is_zero = out.iter().all(|v| *v == S::ZERO);
            *out_exponent = if is_zero { 0 } else { (base + power).cast_unsigned() };
        });
}
