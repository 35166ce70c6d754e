//! weight_gradient — weight [d_in, d_out] = sum over rows r of 2^-exponent[r mod n] a_r^T b_r / divisor (+ weight), and
//! the same of b alone for the bias.
//!
//! in 0 a [rows, d_in]   in 1 b [rows, d_out]   in 2 exponent [N]   inout 3 weight   inout 4 bias (BIAS)
//! params rows, n, d_in, d_out, divisor   order: panels of 512 rows ascending, each a sequential product in faer;
//! tasks are blocks of 64 columns of b, which is scaled panel by panel

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::support::{Rows, add_scaled, unscale};
use crate::backend::cpu::{Args, Scalar};

/// Rows of a panel.
const PANEL: usize = 512;
/// Columns of b that one task handles.
const COLUMNS: usize = 64;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [rows, n, d_in, d_out, divisor] = args.params();
    let (a, b, exponent) = (args.real("a"), args.real("b"), args.word("exponent"));
    let inverse = S::from_f64(1.0 / divisor as f64);
    let factors: Vec<S> = exponent.iter().map(|e| unscale::<S>(*e) * inverse).collect();
    let accumulate = args.flag("ACCUMULATE");
    let weight = Rows::new(args.real_mut("weight"));
    let bias = args.flag("BIAS").then(|| Rows::new(args.real_mut("bias")));
    (0..d_out.div_ceil(COLUMNS)).into_par_iter().for_each(|block| {
        let first = block * COLUMNS;
        let width = COLUMNS.min(d_out - first);
        let mut scaled = vec![S::ZERO; PANEL * width];
        let mut sum = vec![S::ZERO; d_in * width];
        let mut column_sum = vec![S::ZERO; width];
        for panel in 0..rows.div_ceil(PANEL) {
            let start = panel * PANEL;
            let height = PANEL.min(rows - start);
            for (place, to) in scaled.chunks_exact_mut(width).take(height).enumerate() {
                let row = start + place;
                let factor = factors[row % n];
                for (x, y) in to.iter_mut().zip(&b[row * d_out + first..][..width]) {
                    *x = *y * factor;
                }
                if bias.is_some() {
                    add_scaled(&mut column_sum, S::ONE, to);
                }
            }
            matmul(
                MatMut::from_row_major_slice_mut(&mut sum, d_in, width),
                if panel == 0 { Accum::Replace } else { Accum::Add },
                MatRef::from_row_major_slice(&a[start * d_in..(start + height) * d_in], height, d_in).transpose(),
                MatRef::from_row_major_slice(&scaled[..height * width], height, width),
                S::ONE,
                Par::Seq,
            );
        }
        let store = |to: &mut [S], from: &[S]| {
            if accumulate {
                add_scaled(to, S::ONE, from);
            } else {
                to.copy_from_slice(from);
            }
        };
        for (row, from) in sum.chunks_exact(width).enumerate() {
            // SAFETY: tasks have different columns.
            store(unsafe { weight.part(row * d_out + first, width) }, from);
        }
        if let Some(bias) = &bias {
            // SAFETY: as above.
            store(unsafe { bias.part(first, width) }, &column_sum);
        }
    });
}
