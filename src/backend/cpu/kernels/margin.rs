//! margin — cotangent of the margin z_y - mean z of the label's logit: 1 - 1/V at the label, -1/V elsewhere.
//!
//! in 0 labels [N]   out 1 cotangent [N, V]   out 2 exponent [N], all 0   params n, classes V

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, classes] = args.params();
    let share = S::from_f64(1.0 / classes as f64);
    let rows = args.real_mut("cotangent").chunks_exact_mut(classes);
    for (row, label) in rows.zip(args.word("labels")) {
        row.fill(-share);
        row[*label as usize] = S::ONE - share;
    }
    args.word_mut("exponent").fill(0);
}
