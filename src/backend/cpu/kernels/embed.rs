//! embed — looks up tokens: out row (n, t) = table[id + t * id_step] (+ position[t]); with SUM, row n sums over t.
//!
//! in 0 ids [T, N]   in 1 table [V, d]   in 2 position [T, d] (POSITION)   out 3 out, rows by stride_n, stride_t
//! params n, t, d, stride_n, stride_t, id_step   order: t ascending

use rayon::prelude::*;

use super::support::{Rows, SAMPLES, add_scaled};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, t, d, stride_n, stride_t, id_step] = args.params();
    let (ids, table) = (args.word("ids"), args.real("table"));
    let position = args.flag("POSITION").then(|| args.real("position"));
    let sum = args.flag("SUM");
    let out = Rows::new(args.real_mut("out"));
    (0..n.div_ceil(SAMPLES)).into_par_iter().for_each(|block| {
        for sample in block * SAMPLES..n.min((block + 1) * SAMPLES) {
            for place in 0..t {
                let id = ids[place * n + sample] as usize + place * id_step;
                let from = &table[id * d..][..d];
                // SAFETY: rows of different samples do not overlap, and each sample belongs to one task.
                let row = unsafe { out.part(sample * stride_n + place * stride_t, d) };
                if sum && place > 0 {
                    add_scaled(row, S::ONE, from);
                } else {
                    row.copy_from_slice(from);
                }
                if let Some(position) = position {
                    add_scaled(row, S::ONE, &position[place * d..][..d]);
                }
            }
        }
    });
}
