//! column_sums — out [planes, d] = sum over n of 2^-exponent[n] x(plane, n) / divisor (+ out).
//!
//! in 0 x, rows by stride_n and stride_t   in 1 exponent [N]   inout 2 out   params n, planes, d, stride_n, stride_t,
//! divisor   order: n ascending, in f64

use rayon::prelude::*;

use super::support::unscale;
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, _, d, stride_n, stride_t, divisor] = args.params();
    let (x, exponent) = (args.real("x"), args.word("exponent"));
    let accumulate = args.flag("ACCUMULATE");
    args.real_mut("out")
        .par_chunks_exact_mut(d)
        .enumerate()
        .for_each(|(plane, out)| {
            let mut sums = vec![0.0; d];
            for (sample, e) in exponent.iter().enumerate().take(n) {
                let factor = unscale::<f64>(*e);
                let row = &x[sample * stride_n + plane * stride_t..][..d];
                sums.iter_mut().zip(row).for_each(|(s, v)| *s += factor * v.to_f64());
            }
            for (to, sum) in out.iter_mut().zip(sums) {
                let value = S::from_f64(sum / divisor as f64);
                *to = if accumulate { *to + value } else { value };
            }
        });
}
