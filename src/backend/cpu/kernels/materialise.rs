//! materialise — per-sample gradients of a linear site: out [N, d_in (+ 1), d_out] = sum over t of a b, the bias last.
//!
//! in 0 a, in 1 b, rows by strides   out 2 out   params n, t, d_in, d_out, a_stride_n, a_stride_t, b_stride_n,
//! b_stride_t   order: t ascending

use rayon::prelude::*;

use super::support::{add_scaled, vectorised};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, t, d_in, d_out, a_n, a_t, b_n, b_t] = args.params();
    let (a, b) = (args.real("a"), args.real("b"));
    let rows = d_in + usize::from(args.flag("BIAS"));
    args.real_mut("out")
        .par_chunks_exact_mut(rows * d_out)
        .enumerate()
        .for_each(|(sample, out)| {
            vectorised(
                #[inline(always)]
                || {
                    out.fill(S::ZERO);
                    for place in 0..t {
                        let a = &a[sample * a_n + place * a_t..][..d_in];
                        let b = &b[sample * b_n + place * b_t..][..d_out];
                        for (row, to) in out.chunks_exact_mut(d_out).enumerate() {
                            add_scaled(to, a.get(row).copied().unwrap_or(S::ONE), b);
                        }
                    }
                },
            );
        });
}
