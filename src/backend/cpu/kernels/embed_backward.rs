//! embed_backward — table row id + t * id_step collects 2^-exponent[n] b(n, t) / divisor (+ what was there).
//!
//! in 0 b, rows by stride_n and stride_t   in 1 ids [T, N]   in 2 exponent [N]   inout 3 table [rows, d]
//! params n, t, d, stride_n, stride_t, id_step, rows, divisor   order: t ascending, then n; tasks are blocks of columns

use rayon::prelude::*;

use super::support::{Rows, add_scaled, unscale};
use crate::backend::cpu::{Args, Scalar};

/// Columns that one task handles: a cache line of f32.
const COLUMNS: usize = 16;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, t, d, stride_n, stride_t, id_step, rows, divisor] = args.params();
    let (b, ids, exponent) = (args.real("b"), args.word("ids"), args.word("exponent"));
    let inverse = S::from_f64(1.0 / divisor as f64);
    let factors: Vec<S> = exponent.iter().map(|e| unscale::<S>(*e) * inverse).collect();
    let accumulate = args.flag("ACCUMULATE");
    let table = Rows::new(args.real_mut("table"));
    (0..d.div_ceil(COLUMNS)).into_par_iter().for_each(|block| {
        let first = block * COLUMNS;
        let width = COLUMNS.min(d - first);
        let mut sums = vec![S::ZERO; rows * width];
        for place in 0..t {
            for sample in 0..n {
                let row = ids[place * n + sample] as usize + place * id_step;
                let from = &b[sample * stride_n + place * stride_t + first..][..width];
                add_scaled(&mut sums[row * width..][..width], factors[sample], from);
            }
        }
        for (row, from) in sums.chunks_exact(width).enumerate() {
            // SAFETY: tasks have different columns.
            let to = unsafe { table.part(row * d + first, width) };
            if accumulate {
                add_scaled(to, S::ONE, from);
            } else {
                to.copy_from_slice(from);
            }
        }
    });
}
