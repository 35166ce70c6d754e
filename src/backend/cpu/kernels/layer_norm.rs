//! layer_norm — normal = (x - mean)/sqrt(var + 1e-5) with the biased variance, out = normal * gain + shift, by rows.
//!
//! in 0 input [rows, d]   in 1 gain [d]   in 2 shift [d]   out 3 normal [rows, d]   out 4 inverse_sd [rows]
//! out 5 out [rows, d]   params rows, d   order: sums over d in f64, ascending

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};

/// Added to the variance.
const EPS: f64 = 1e-5;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, d] = args.params();
    let (input, gain, shift) = (args.real("input"), args.real("gain"), args.real("shift"));
    args.real_mut("normal")
        .par_chunks_exact_mut(d)
        .zip(args.real_mut("out").par_chunks_exact_mut(d))
        .zip(args.real_mut("inverse_sd").par_iter_mut())
        .zip(input.par_chunks_exact(d))
        .with_min_len(64)
        .for_each(|(((normal, out), inverse_sd), x)| {
            let mean = x.iter().map(|v| v.to_f64()).sum::<f64>() / d as f64;
            let variance = x.iter().map(|v| (v.to_f64() - mean).powi(2)).sum::<f64>() / d as f64;
            let inverse = 1.0 / (variance + EPS).sqrt();
            *inverse_sd = S::from_f64(inverse);
            for (k, value) in x.iter().enumerate() {
                normal[k] = S::from_f64((value.to_f64() - mean) * inverse);
                out[k] = normal[k] * gain[k] + shift[k];
            }
        });
}
