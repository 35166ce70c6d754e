//! read_out — value of a linear read-out of every sample's logits; with GRADIENT the scaled cotangent of its logits, which
//! is its row of coefficients: value[n] = sum over c of coefficients[rows[n], c] logits[n, c].
//!
//! in 0 logits [N, V]   in 1 rows [N]   in 2 coefficients [S, V]   out 3 value [N]   out 4 cotangent [N, V]
//! out 5 exponent [N]   params n, classes V   order: eight running sums over classes, in f64

use rayon::prelude::*;

use super::scaled::scale_by;
use super::support::{SAMPLES, dot_wide};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, classes] = args.params();
    let (logits, rows, coefficients) = (args.real("logits"), args.word("rows"), args.real("coefficients"));
    let row = |sample: usize| &coefficients[rows[sample] as usize * classes..][..classes];
    args.real_mut("value")
        .par_iter_mut()
        .enumerate()
        .with_min_len(SAMPLES)
        .for_each(|(sample, value)| {
            let z = &logits[sample * classes..][..classes];
            *value = S::from_f64(dot_wide(row(sample), z));
        });
    if !args.flag("GRADIENT") {
        return;
    }
    args.real_mut("cotangent")
        .par_chunks_exact_mut(classes)
        .zip(args.word_mut("exponent").par_iter_mut())
        .enumerate()
        .with_min_len(SAMPLES)
        .for_each(|(sample, (cotangent, exponent))| {
            cotangent.copy_from_slice(row(sample));
            *exponent = scale_by(cotangent).cast_unsigned();
        });
}
