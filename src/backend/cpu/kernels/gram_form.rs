//! gram_form — from K as scaled, one matrix and its sums. FORM 0 raw, 1 centred cosine.
//!
//! in 0 gram [N, N]   in 1 exponent [N]   out 2 form [N, N]   out 3 sums [8 + N], see `plan::layout`   params n
//! order: rows in parallel, columns ascending; then rows ascending, all in f64
//!
//! raw K_ij 2^-((e_i - e_0) + (e_j - e_0)), e_0 the smallest exponent of the gradients that are not zero;
//! centred cosine C_ij - r_i/m - r_j/m + s/m^2 over the m gradients that are not zero, C their cosines with row sums r
//! and total s; zero rows for the others.

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};
use crate::plan::layout::{DIAGONAL2, FORM_CONDITION, FROBENIUS2, PER_FORM, SAMPLES, TRACE, common_scale};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n] = args.params();
    let gram = args.real("gram");
    let form = args.wide_mut("form");
    let alive = |k: usize| gram[k * n + k] > S::ZERO;
    let count = (0..n).filter(|k| alive(*k)).count() as f64;
    let centred = args.constant("FORM") == 1;
    if centred {
        centred_cosines(gram, form, n, count);
    } else {
        let scale = common_scale(args.word("exponent"), alive);
        form.par_chunks_exact_mut(n).enumerate().for_each(|(i, row)| {
            for (j, to) in row.iter_mut().enumerate() {
                *to = gram[i * n + j].to_f64() * scale[i] * scale[j];
            }
        });
    }
    let squares: Vec<f64> = form.par_chunks_exact(n).map(|row| row.iter().map(|x| x * x).sum()).collect();
    let sums = args.wide_mut("sums");
    sums.fill(0.0);
    let (head, diagonal) = sums.split_at_mut(PER_FORM);
    for (k, d) in diagonal.iter_mut().enumerate() {
        *d = form[k * n + k].max(0.0);
    }
    head[TRACE] = diagonal.iter().sum();
    head[FROBENIUS2] = squares.iter().sum();
    head[DIAGONAL2] = diagonal.iter().map(|d| d * d).sum();
    head[SAMPLES] = if centred { count } else { n as f64 };
    head[FORM_CONDITION] = if centred { count / head[TRACE] } else { 1.0 };
}

fn centred_cosines<S: Scalar>(gram: &[S], form: &mut [f64], n: usize, count: f64) {
    let inverse: Vec<f64> = (0..n)
        .map(|k| gram[k * n + k].to_f64())
        .map(|x| if x > 0.0 { 1.0 / x.sqrt() } else { 0.0 })
        .collect();
    let means: Vec<f64> = form
        .par_chunks_exact_mut(n)
        .enumerate()
        .map(|(i, row)| {
            for (j, to) in row.iter_mut().enumerate() {
                let exact = i == j && inverse[i] > 0.0;
                *to = if exact { 1.0 } else { gram[i * n + j].to_f64() * inverse[i] * inverse[j] };
            }
            row.iter().sum::<f64>() / count
        })
        .collect();
    let grand = means.iter().sum::<f64>() / count;
    form.par_chunks_exact_mut(n).enumerate().for_each(|(i, row)| {
        for (j, to) in row.iter_mut().enumerate() {
            if inverse[i] > 0.0 && inverse[j] > 0.0 {
                *to += grand - means[i] - means[j];
            } else {
                *to = 0.0;
            }
        }
    });
}
