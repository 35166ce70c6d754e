//! gram_forms — from K as scaled, the matrices raw, cosine and centred on a common scale, and their sums.
//!
//! in 0 gram [N, N]   in 1 exponent [N]   out 2 forms [3, N, N]   out 3 sums [32 + 3 N], see `plan::layout`   params n
//! order: rows in parallel, columns ascending; then rows ascending, all in f64
//!
//! raw K_ij 2^-((e_i - e_0) + (e_j - e_0)), e_0 the smallest exponent of the gradients that are not zero;
//! cosine K_ij/sqrt(K_ii K_jj), zero rows for zero gradients;
//! centred K_ij - r_i/n - r_j/n + s/n^2 with row sums r and total s.

use rayon::prelude::*;

use crate::plan::layout::{
    CENTRED, CONDITION, COSINE, COSINE_MIN, COSINE_SUM, DIAGONAL2, FROBENIUS2, HEAD, NEGATIVE, PAIRS, PER_FORM, RAW,
    SAMPLES, TRACE, common_scale,
};
use crate::backend::cpu::{Args, Scalar};

/// What one row adds to the sums.
#[derive(Clone, Copy, Default)]
struct RowSums {
    squares: [f64; 3],
    cosine: f64,
    least: f64,
    negative: f64,
}

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n] = args.params();
    let gram = args.real("gram");
    let scale = common_scale(args.word("exponent"), |k| gram[k * n + k] > S::ZERO);
    let sums = args.wide_mut("sums");
    sums.fill(0.0);
    let (head, diagonals) = sums.split_at_mut(HEAD);
    let (raw, rest) = args.wide_mut("forms").split_at_mut(n * n);
    let (cosine, centred) = rest.split_at_mut(n * n);
    let inverse: Vec<f64> = (0..n)
        .map(|k| gram[k * n + k].to_f64())
        .map(|x| if x > 0.0 { 1.0 / x.sqrt() } else { 0.0 })
        .collect();
    let means: Vec<f64> = raw
        .par_chunks_exact_mut(n)
        .enumerate()
        .map(|(i, raw)| {
            for (j, to) in raw.iter_mut().enumerate() {
                *to = gram[i * n + j].to_f64() * scale[i] * scale[j];
            }
            raw.iter().sum::<f64>() / n as f64
        })
        .collect();
    let grand = means.iter().sum::<f64>() / n as f64;
    let rows: Vec<RowSums> = cosine
        .par_chunks_exact_mut(n)
        .zip(centred.par_chunks_exact_mut(n))
        .zip(raw.par_chunks_exact(n))
        .enumerate()
        .map(|(i, ((cosine, centred), raw))| {
            let mut sums = RowSums {
                least: f64::INFINITY,
                ..RowSums::default()
            };
            for j in 0..n {
                let c = if i == j && inverse[i] > 0.0 {
                    1.0
                } else {
                    gram[i * n + j].to_f64() * inverse[i] * inverse[j]
                };
                cosine[j] = c;
                centred[j] = raw[j] - means[i] - means[j] + grand;
                for (square, value) in sums.squares.iter_mut().zip([raw[j], c, centred[j]]) {
                    *square += value * value;
                }
                if j > i && inverse[i] > 0.0 && inverse[j] > 0.0 {
                    sums.cosine += c;
                    sums.least = sums.least.min(c);
                    sums.negative += f64::from(u8::from(c < 0.0));
                }
            }
            sums
        })
        .collect();
    let alive = inverse.iter().filter(|x| **x > 0.0).count() as f64;
    for (form, matrix) in [(RAW, &*raw), (COSINE, &*cosine), (CENTRED, &*centred)] {
        let diagonal = &mut diagonals[form * n..][..n];
        for (k, d) in diagonal.iter_mut().enumerate() {
            *d = matrix[k * n + k].max(0.0);
        }
        let head = &mut head[form * PER_FORM..];
        head[TRACE] = diagonal.iter().sum();
        head[FROBENIUS2] = rows.iter().map(|row| row.squares[form]).sum();
        head[DIAGONAL2] = diagonal.iter().map(|d| d * d).sum();
        head[SAMPLES] = if form == COSINE { alive } else { n as f64 };
    }
    head[COSINE_SUM] = rows.iter().map(|row| row.cosine).sum();
    head[PAIRS] = alive * (alive - 1.0) / 2.0;
    head[COSINE_MIN] = rows.iter().map(|row| row.least).fold(f64::INFINITY, f64::min);
    head[NEGATIVE] = rows.iter().map(|row| row.negative).sum();
    head[CONDITION] = head[RAW * PER_FORM + TRACE] / head[CENTRED * PER_FORM + TRACE];
}
