//! layer_norm_backward — cotangent of the input: inverse_sd (c - mean(c) - normal mean(c normal)), c = cotangent * gain
//! (+ residual).
//!
//! in 0 cotangent [rows, d]   in 1 normal [rows, d]   in 2 inverse_sd [rows]   in 3 gain [d]
//! in 4 residual [rows, d] (RESIDUAL)   out out [rows, d]   params rows, d   order: sums over d in f64, ascending

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, d] = args.params();
    let (cotangent, normal) = (args.real("cotangent"), args.real("normal"));
    let (inverse_sd, gain) = (args.real("inverse_sd"), args.real("gain"));
    let residual = args.flag("RESIDUAL").then(|| args.real("residual"));
    args.real_mut("out")
        .par_chunks_exact_mut(d)
        .enumerate()
        .with_min_len(64)
        .for_each(|(row, out)| {
            let (cotangent, normal) = (&cotangent[row * d..][..d], &normal[row * d..][..d]);
            let c = |k: usize| cotangent[k].to_f64() * gain[k].to_f64();
            let mean = (0..d).map(c).sum::<f64>() / d as f64;
            let along = (0..d).map(|k| c(k) * normal[k].to_f64()).sum::<f64>() / d as f64;
            let inverse = inverse_sd[row].to_f64();
            for k in 0..d {
                out[k] = S::from_f64(inverse * (c(k) - mean - normal[k].to_f64() * along));
            }
            if let Some(residual) = residual {
                out.iter_mut().zip(&residual[row * d..][..d]).for_each(|(x, y)| *x += *y);
            }
        });
}
