//! loss — loss and hit of every sample; with GRADIENT the cotangent of its logits, scaled by 2^exponent so that its
//! largest entry lies in [1/2, 1). LOSS 0 cross-entropy without cancellation, 1 naive, 2 mean squared error, 3 StableMax.
//!
//! in 0 logits [N, V]   in 1 labels [N]   out 2 loss [N]   out 3 hit [N]   out 4 cotangent [N, V]   out 5 exponent [N]
//! params n, classes V   order: classes ascending (naive: as PyTorch's vectorised log_softmax, sixteen running sums)
//!
//! Without cancellation: with m2 the largest logit but the label's, q_j = exp(z_j - m2) and Q = sum of q_j over j != y,
//! the cotangent is F q_j and -F Q, F = exp(m2 - m)/S. It is never formed as p_y - 1, and F's exponent goes into the
//! sample's scale, so that it neither cancels nor underflows at any loss. StableMax: log1p(Q/s_y), Q the sum of s_j over
//! j != y, and the label's share of the cotangent is formed from Q too.

use rayon::prelude::*;

use super::scaled::{competitors, scale_by, scale_to_unit};
use super::support::SAMPLES;
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, classes] = args.params();
    let kind = args.constant("LOSS");
    let (logits, labels) = (args.real("logits"), args.word("labels"));
    let (loss, hit) = (args.real_mut("loss"), args.word_mut("hit"));
    let sample_of = |sample: usize| (&logits[sample * classes..][..classes], labels[sample] as usize);
    if !args.flag("GRADIENT") {
        loss.par_iter_mut()
            .zip(hit.par_iter_mut())
            .enumerate()
            .with_min_len(SAMPLES)
            .for_each_init(
                || vec![S::ZERO; classes],
                |q, (sample, (loss, hit))| {
                    let (z, y) = sample_of(sample);
                    (*loss, _) = evaluate(kind, z, y, q);
                    *hit = u32::from(is_hit(z, y));
                },
            );
        return;
    }
    args.real_mut("cotangent")
        .par_chunks_exact_mut(classes)
        .zip(args.word_mut("exponent").par_iter_mut())
        .zip(loss.par_iter_mut().zip(hit.par_iter_mut()))
        .enumerate()
        .with_min_len(SAMPLES)
        .for_each(|(sample, ((cotangent, exponent), (loss, hit)))| {
            let (z, y) = sample_of(sample);
            let scale;
            (*loss, scale) = evaluate(kind, z, y, cotangent);
            *hit = u32::from(is_hit(z, y));
            *exponent = scale.cast_unsigned();
        });
}

/// The loss, and the exponent of the cotangent left in `cotangent`.
fn evaluate<S: Scalar>(kind: u32, z: &[S], y: usize, cotangent: &mut [S]) -> (S, i32) {
    match kind {
        0 => accurate(z, y, cotangent),
        1 => naive(z, y, cotangent),
        3 => stablemax(z, y, cotangent),
        _ => square(z, y, cotangent),
    }
}

/// Whether the label is the first of the largest logits.
fn is_hit<S: Scalar>(z: &[S], y: usize) -> bool {
    z[..y].iter().all(|other| *other < z[y]) && z[y + 1..].iter().all(|other| *other <= z[y])
}

/// A cotangent below the smallest f64 is zero in every precision, as it is for who computes it in f64 without scales.
const SMALLEST_POWER: i32 = -1074;

fn accurate<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> (S, i32) {
    let all = competitors(z, y, cotangent);
    let gap = all.own - all.behind;
    let loss = if gap >= 0.0 {
        (all.sum * (-gap).exp()).ln_1p()
    } else {
        // The label is behind by -gap; all terms count.
        all.partition.ln() - gap
    };
    // F = exp(m2 - m)/S with S relative to m, so F Q = 2^power * mantissa.
    let (mantissa, power) = scale_to_unit(all.sum / all.partition, all.behind);
    if all.sum == 0.0 || power < SMALLEST_POWER {
        cotangent.fill(S::ZERO);
        return (S::from_f64(loss), 0);
    }
    let factor = S::from_f64(mantissa / all.sum);
    cotangent.iter_mut().for_each(|c| *c *= factor);
    cotangent[y] = -S::from_f64(mantissa);
    (S::from_f64(loss), -power)
}

/// z -> z - max - ln sum exp(z - max), all in this precision, as `log_softmax` in most f32 code.
fn log_softmax<S: Scalar>(z: &[S]) -> impl Fn(S) -> S {
    const LANES: usize = 16;
    let largest = z.iter().copied().fold(S::from_f64(f64::NEG_INFINITY), S::max);
    let mut sums = [S::ZERO; LANES];
    for chunk in z.chunks(LANES) {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += S::exp(*v - largest);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            let other = sums[lane + width];
            sums[lane] += other;
        }
        width /= 2;
    }
    let log = S::ln(sums[0]);
    move |v| v - largest - log
}

fn naive<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> (S, i32) {
    let log_p = log_softmax(z);
    for (c, v) in cotangent.iter_mut().zip(z) {
        *c = S::exp(log_p(*v));
    }
    cotangent[y] -= S::ONE;
    (-log_p(z[y]), scale_by(cotangent))
}

fn square<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> (S, i32) {
    let classes = S::from_f64(z.len() as f64);
    let mut sum = S::ZERO;
    for (j, (c, v)) in cotangent.iter_mut().zip(z).enumerate() {
        let off = *v - if j == y { S::ONE } else { S::ZERO };
        sum += off * off;
        *c = (off + off) / classes;
    }
    (sum / classes, scale_by(cotangent))
}

/// s(x) = x + 1 for x >= 0, else 1/(1 - x), and its slope.
fn stable(x: f64) -> (f64, f64) {
    if x >= 0.0 {
        return (x + 1.0, 1.0);
    }
    let s = 1.0 / (1.0 - x);
    (s, s * s)
}

fn stablemax<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> (S, i32) {
    let others = z[..y].iter().chain(&z[y + 1..]);
    let others: f64 = others.map(|v| stable(v.to_f64()).0).sum();
    let (own, own_slope) = stable(z[y].to_f64());
    let total = own + others;
    for (c, v) in cotangent.iter_mut().zip(z) {
        *c = S::from_f64(stable(v.to_f64()).1 / total);
    }
    cotangent[y] = S::from_f64(-own_slope / own * (others / total));
    (S::from_f64((others / own).ln_1p()), scale_by(cotangent))
}
