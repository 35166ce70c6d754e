//! The null beside every rank: the same norms with random directions.
//!
//! Random directions in P dimensions have K_ii = d_i and independent K_ij of mean 0 and variance d_i d_j / P, so to
//! second order in K_ij (Daleckii & Krein) a sum over eigenvalues is
//! `sum f(d_i) + 1/2 sum_{i != j} f'[d_i, d_j] d_i d_j / P`, with the divided difference of f'.
//! Centred, the d_i give way to the eigenvalues of `H diag(d) H`.
//! Where P is below 16 n that is too coarse, and one seeded draw of directions is solved instead.

use rayon::prelude::*;

use super::entropy::entropy_rank;
use super::spectrum::eigenvalues;
use crate::random::{Purpose, Stream};

/// Expected erank on singular values and on eigenvalues of gradients with squared norms `d` and random directions; with
/// `centred`, after their mean is taken away.
pub fn null_ranks(d: &[f64], parameters: usize, centred: bool) -> [f64; 2] {
    let mean = d.iter().sum::<f64>() / d.len() as f64;
    let mut d: Vec<f64> = d.iter().map(|x| x / mean).collect();
    if parameters < 16 * d.len() {
        return drawn(&d, parameters, centred);
    }
    if centred {
        d = centred_levels(&d);
    }
    d.retain(|x| *x > 0.0);
    if d.is_empty() {
        return [f64::NAN; 2];
    }
    let roots: Vec<f64> = d.iter().map(|x| x.sqrt()).collect();
    let logs: Vec<f64> = d.iter().map(|x| x.ln()).collect();
    let trace: f64 = d.iter().sum();
    let mut root_sum: f64 = roots.iter().sum();
    let mut root_log_sum: f64 = roots.iter().zip(&logs).map(|(r, l)| 0.5 * r * l).sum();
    let mut log_sum: f64 = d.iter().zip(&logs).map(|(x, l)| x * l).sum();
    // Each pair i > j stands for (i, j) and (j, i): the factor 1/2 is used up.
    let row = |i: usize| {
        let mut sums = [0.0; 3];
        for j in 0..i {
            let (x, y) = (d[i], d[j]);
            let variance = x * y / parameters as f64;
            let near = (x - y).abs() < 1e-4 * (x + y);
            let middle = 0.5 * (x + y);
            sums[0] -= variance / (2.0 * roots[i] * roots[j] * (roots[i] + roots[j]));
            sums[1] += variance
                * if near {
                    -middle.ln() / (8.0 * middle * middle.sqrt())
                } else {
                    ((logs[i] + 2.0) / roots[i] - (logs[j] + 2.0) / roots[j]) / (4.0 * (x - y))
                };
            sums[2] += variance
                * if near {
                    1.0 / middle
                } else {
                    (logs[i] - logs[j]) / (x - y)
                };
        }
        sums
    };
    let rows: Vec<[f64; 3]> = (0..d.len()).into_par_iter().map(row).collect();
    for [root, root_log, log] in rows {
        root_sum += root;
        root_log_sum += root_log;
        log_sum += log;
    }
    [
        (root_sum.ln() - root_log_sum / root_sum).exp(),
        (trace.ln() - log_sum / trace).exp(),
    ]
}

/// The n - 1 eigenvalues of `H diag(d) H` beside its zero: the roots of `sum 1/(d_i - x)`, one between each two
/// neighbours among the sorted `d`.
fn centred_levels(d: &[f64]) -> Vec<f64> {
    let mut sorted = d.to_vec();
    sorted.sort_by(f64::total_cmp);
    let level = |pair: &[f64]| {
        let (mut low, mut high) = (pair[0], pair[1]);
        // Each halving gains a bit; 40 are more than the second order is worth.
        for _ in 0..40 {
            let x = 0.5 * (low + high);
            if x <= low || x >= high {
                break;
            }
            if sorted.iter().map(|d| 1.0 / (d - x)).sum::<f64>() < 0.0 {
                low = x;
            } else {
                high = x;
            }
        }
        0.5 * (low + high)
    };
    sorted.par_windows(2).map(level).collect()
}

/// The ranks of one draw of directions.
fn drawn(d: &[f64], parameters: usize, centred: bool) -> [f64; 2] {
    let n = d.len();
    let stream = Stream::new(0, Purpose::Null);
    let mut gradients: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let row: Vec<f64> = (0..parameters)
                .map(|k| stream.normal((i * parameters + k) as u64))
                .collect();
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter().map(|x| x / length * d[i].sqrt()).collect()
        })
        .collect();
    if centred {
        for k in 0..parameters {
            let mean = gradients.iter().map(|g| g[k]).sum::<f64>() / n as f64;
            gradients.iter_mut().for_each(|g| g[k] -= mean);
        }
    }
    let mut gram = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            gram[i * n + j] = gradients[i].iter().zip(&gradients[j]).map(|(x, y)| x * y).sum();
            gram[j * n + i] = gram[i * n + j];
        }
    }
    let mut values = vec![0.0; n];
    eigenvalues(&gram, &mut values);
    let threshold = 4.0 * n as f64 * f64::EPSILON * values[n - 1];
    let kept = values.into_iter().filter(move |l| *l >= threshold);
    [entropy_rank(kept.clone().map(f64::sqrt)), entropy_rank(kept)]
}
