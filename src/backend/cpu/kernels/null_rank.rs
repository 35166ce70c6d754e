//! The null beside every rank: the same norms with random directions.
//!
//! Random directions in P dimensions have K_ii = d_i and independent K_ij of mean 0 and variance d_i d_j / P, so to
//! second order in K_ij (Daleckii & Krein) a sum over eigenvalues is
//! `sum f(d_i) + 1/2 sum_{i != j} f'[d_i, d_j] d_i d_j / P`, with the divided difference of f'.
//! Centred, the d_i give way to the eigenvalues of `H diag(d) H`.
//! Where P is below 16 n that is too coarse, and one seeded draw of directions is solved instead.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::entropy::entropy_rank;
use super::spectrum::eigenvalues;
use super::support::vectorised;
use crate::random::{Purpose, Stream};

/// Expected erank on singular values and on eigenvalues of gradients with squared norms `d` and random directions; with
/// `centred`, after their mean is taken away.
pub fn null_ranks(d: &[f64], parameters: usize, centred: bool) -> [f64; 2] {
    let mean = d.iter().sum::<f64>() / d.len() as f64;
    if mean.is_nan() || mean <= 0.0 {
        return [f64::NAN; 2];
    }
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
    let levels = Levels {
        d: &d,
        roots: &roots,
        logs: &logs,
    };
    let rows: Vec<[f64; 3]> = (0..d.len())
        .into_par_iter()
        .with_min_len(16)
        .map(|i| {
            vectorised(
                #[inline(always)]
                || levels.pairs_below(i),
            )
        })
        .collect();
    for [root, root_log, log] in rows {
        root_sum += root / parameters as f64;
        root_log_sum += root_log / parameters as f64;
        log_sum += log / parameters as f64;
    }
    [
        (root_sum.ln() - root_log_sum / root_sum).exp(),
        (trace.ln() - log_sum / trace).exp(),
    ]
}

/// Sums run side by side, so that they are made by vectors, and added in order at the end.
const LANES: usize = 8;

/// Squared norms with their square roots and logarithms.
struct Levels<'a> {
    d: &'a [f64],
    roots: &'a [f64],
    logs: &'a [f64],
}

impl Levels<'_> {
    /// What the pairs (i, j), j < i, add to the sums of roots, of roots times logarithms, and of levels times logarithms,
    /// times P. Each stands for (j, i) too: the factor 1/2 is used up.
    #[inline(always)]
    fn pairs_below(&self, i: usize) -> [f64; 3] {
        let (mut root, mut root_log, mut log) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        let own = (self.d[i], self.roots[i], self.logs[i]);
        let (d, d_rest) = self.d[..i].as_chunks::<LANES>();
        let (roots, roots_rest) = self.roots[..i].as_chunks::<LANES>();
        let (logs, logs_rest) = self.logs[..i].as_chunks::<LANES>();
        for ((d, roots), logs) in d.iter().zip(roots).zip(logs) {
            for lane in 0..LANES {
                let added = pair(own, (d[lane], roots[lane], logs[lane]));
                root[lane] += added.0;
                root_log[lane] += added.1;
                log[lane] += added.2;
            }
        }
        let mut sums = [root, root_log, log].map(|lanes| lanes.iter().sum::<f64>());
        for ((d, roots), logs) in d_rest.iter().zip(roots_rest).zip(logs_rest) {
            let added = pair(own, (*d, *roots, *logs));
            sums[0] += added.0;
            sums[1] += added.1;
            sums[2] += added.2;
        }
        sums
    }
}

/// What one pair of levels, each with its square root and logarithm, adds.
#[inline(always)]
fn pair((x, root_x, log_x): (f64, f64, f64), (y, root_y, log_y): (f64, f64, f64)) -> (f64, f64, f64) {
    let product = x * y;
    // Divided differences of neighbours that almost agree are derivatives at their middle; the mean of the two
    // logarithms is that of the middle to 5e-9.
    let near = (x - y).abs() < 1e-4 * (x + y);
    let middle = 0.5 * (x + y);
    let gap = if near { 1.0 } else { x - y };
    let apart = ((log_x + 2.0) / root_x - (log_y + 2.0) / root_y) / (4.0 * gap);
    let root_log = if near {
        -(log_x + log_y) / (16.0 * middle * middle.sqrt())
    } else {
        apart
    };
    let log = if near { 1.0 / middle } else { (log_x - log_y) / gap };
    (
        -product / (2.0 * root_x * root_y * (root_x + root_y)),
        product * root_log,
        product * log,
    )
}

/// The n - 1 eigenvalues of `H diag(d) H` beside its zero: the roots of `sum 1/(d_i - x)`, one between each two
/// neighbours among the sorted `d`.
fn centred_levels(d: &[f64]) -> Vec<f64> {
    let mut sorted = d.to_vec();
    sorted.sort_by(f64::total_cmp);
    (1..sorted.len())
        .into_par_iter()
        .with_min_len(16)
        .map(|above| secular_root(&sorted, above))
        .collect()
}

/// The root of `sum 1/(d_i - x)` between `sorted[above - 1]` and `sorted[above]`.
///
/// Each side of the sum is replaced by a constant and one pole at the end of the interval, with the same value and slope
/// at x (the "middle way" of the secular equation, Li 1993, LAPACK working note 89); halving where that leaves the
/// bracket.
fn secular_root(sorted: &[f64], above: usize) -> f64 {
    let (left, right) = sorted.split_at(above);
    let (first, last) = (left[above - 1], right[0]);
    let (mut low, mut high) = (first, last);
    let mut x = 0.5 * (low + high);
    // Ten digits of the gap are more than the second order is worth.
    let arch = pulp::Arch::new();
    let tolerance = 1e-10 * (last - first);
    for _ in 0..60 {
        if x <= low || x >= high {
            return 0.5 * (low + high);
        }
        let (psi, psi_slope) = arch.dispatch(PoleSums { d: left, x });
        let (phi, phi_slope) = arch.dispatch(PoleSums { d: right, x });
        if psi + phi < 0.0 {
            low = x;
        } else {
            high = x;
        }
        let (below, over) = (first - x, last - x);
        let (p, q) = (psi_slope * below * below, phi_slope * over * over);
        let c = psi - psi_slope * below + phi - phi_slope * over;
        // c + p/(first - z) + q/(last - z) = 0 in z = x + step: c step^2 - linear step + constant = 0.
        let linear = c * (below + over) + p + q;
        let constant = c * below * over + p * over + q * below;
        let root = (linear * linear - 4.0 * c * constant).max(0.0).sqrt();
        let step = if linear >= 0.0 {
            2.0 * constant / (linear + root)
        } else {
            (linear - root) / (2.0 * c)
        };
        let next = x + step;
        let next = if next > low && next < high {
            next
        } else {
            0.5 * (low + high)
        };
        if (next - x).abs() <= tolerance {
            return next;
        }
        x = next;
    }
    x
}

/// `sum 1/(d_i - x)` and `sum 1/(d_i - x)^2`.
struct PoleSums<'a> {
    d: &'a [f64],
    x: f64,
}

impl WithSimd for PoleSums<'_> {
    type Output = (f64, f64);

    // Written with vectors, since compilers pair value and slope of one pole instead of the values of several.
    #[inline(always)]
    fn with_simd<V: Simd>(self, simd: V) -> Self::Output {
        let (chunks, rest) = V::as_simd_f64s(self.d);
        let (x, one) = (simd.splat_f64s(self.x), simd.splat_f64s(1.0));
        let (mut value, mut slope) = (simd.splat_f64s(0.0), simd.splat_f64s(0.0));
        for d in chunks {
            let inverse = simd.div_f64s(one, simd.sub_f64s(*d, x));
            value = simd.add_f64s(value, inverse);
            slope = simd.mul_add_f64s(inverse, inverse, slope);
        }
        let mut sums = (simd.reduce_sum_f64s(value), simd.reduce_sum_f64s(slope));
        for d in rest {
            let inverse = 1.0 / (d - self.x);
            sums = (sums.0 + inverse, sums.1 + inverse * inverse);
        }
        sums
    }
}

/// The ranks of one draw of directions.
fn drawn(d: &[f64], parameters: usize, centred: bool) -> [f64; 2] {
    let n = d.len();
    let stream = Stream::new(0, Purpose::Null);
    let mut gradients = vec![0.0; n * parameters];
    gradients
        .par_chunks_exact_mut(parameters)
        .enumerate()
        .for_each(|(i, row)| {
            for (k, x) in row.iter_mut().enumerate() {
                *x = stream.normal((i * parameters + k) as u64);
            }
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|x| *x *= d[i].sqrt() / length);
        });
    if centred {
        let mut mean = vec![0.0; parameters];
        for row in gradients.chunks_exact(parameters) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n as f64);
        }
        for row in gradients.chunks_exact_mut(parameters) {
            row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m);
        }
    }
    let rows = MatRef::from_row_major_slice(&gradients, n, parameters);
    let mut gram = vec![0.0; n * n];
    let out = MatMut::from_row_major_slice_mut(&mut gram, n, n);
    matmul(out, Accum::Replace, rows, rows.transpose(), 1.0, Par::Seq);
    let mut values = vec![0.0; n];
    eigenvalues(&gram, &mut values);
    let threshold = 4.0 * n as f64 * f64::EPSILON * values[n - 1];
    let kept = values.into_iter().filter(move |l| *l >= threshold);
    [entropy_rank(kept.clone().map(f64::sqrt)), entropy_rank(kept)]
}
