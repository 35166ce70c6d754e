//! matmul — out [m, n] = a [m, k] b (+ bias [n]) (+ residual [m, n]) (+ out); b [k, n], or [n, k] with TRANSPOSE_B.
//!
//! in 0 a   in 1 b   in 2 bias (BIAS)   in 3 residual (RESIDUAL)   out out, read with ACCUMULATE   params m, k, n
//! order: panels of 256 rows, each a sequential product in faer

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};

/// Rows of a panel.
const PANEL: usize = 256;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [m, k, n] = args.params();
    if m * n == 0 {
        return;
    }
    let (a, b) = (args.real("a"), args.real("b"));
    let bias = args.flag("BIAS").then(|| args.real("bias"));
    let residual = args.flag("RESIDUAL").then(|| args.real("residual"));
    let accumulate = args.flag("ACCUMULATE");
    let b = if args.flag("TRANSPOSE_B") {
        MatRef::from_row_major_slice(b, n, k).transpose()
    } else {
        MatRef::from_row_major_slice(b, k, n)
    };
    args.real_mut("out")
        .par_chunks_mut(PANEL * n)
        .enumerate()
        .for_each(|(panel, out)| {
            let rows = out.len() / n;
            let first = panel * PANEL;
            let a = MatRef::from_row_major_slice(&a[first * k..(first + rows) * k], rows, k);
            let mut add = accumulate;
            for (row, to) in out.chunks_exact_mut(n).enumerate() {
                let add_or_set = |to: &mut [S], from: &[S], add: bool| {
                    if add {
                        to.iter_mut().zip(from).for_each(|(x, y)| *x += *y);
                    } else {
                        to.copy_from_slice(from);
                    }
                };
                if let Some(residual) = residual {
                    add_or_set(to, &residual[(first + row) * n..][..n], add);
                }
                if let Some(bias) = bias {
                    add_or_set(to, bias, add || residual.is_some());
                }
            }
            add |= bias.is_some() || residual.is_some();
            let accum = if add { Accum::Add } else { Accum::Replace };
            let out = MatMut::from_row_major_slice_mut(out, rows, n);
            matmul(out, accum, a, b, S::ONE, Par::Seq);
        });
}
