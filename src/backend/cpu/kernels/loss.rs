//! loss — loss and hit of every sample; with GRADIENT the cotangent of its logits, scaled by 2^exponent so that its
//! largest entry lies in [1/2, 1). LOSS 0 cross-entropy without cancellation, 1 naive, 2 mean squared error.
//!
//! in 0 logits [N, V]   in 1 labels [N]   out 2 loss [N]   out 3 hit [N]   out 4 cotangent [N, V]   out 5 exponent [N]
//! params n, classes V   order: classes ascending (naive: as PyTorch's vectorised log_softmax, sixteen running sums)
//!
//! Without cancellation: with m2 the largest logit but the label's, q_j = exp(z_j - m2) and Q = sum of q_j over j != y,
//! the cotangent is F q_j and -F Q, F = exp(m2 - m)/S. It is never formed as p_y - 1, and F's exponent goes into the
//! sample's scale, so that it neither cancels nor underflows at any loss.

use rayon::prelude::*;

use super::scaled::{competitors, scale_by, scale_to_unit};
use super::support::SAMPLES;
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, classes] = args.params();
    let kind = args.constant("LOSS");
    let (logits, labels) = (args.real("logits"), args.word("labels"));
    let (loss, hit) = (args.real_mut("loss"), args.word_mut("hit"));
    let value = |sample: usize| {
        let (z, y) = (&logits[sample * classes..][..classes], labels[sample] as usize);
        (z, y, loss_of(kind, z, y))
    };
    if !args.flag("GRADIENT") {
        loss.par_iter_mut()
            .zip(hit.par_iter_mut())
            .enumerate()
            .with_min_len(SAMPLES)
            .for_each(|(sample, (loss, hit))| {
                let (z, y, l) = value(sample);
                *loss = l;
                *hit = u32::from(is_hit(z, y));
            });
        return;
    }
    args.real_mut("cotangent")
        .par_chunks_exact_mut(classes)
        .zip(args.word_mut("exponent").par_iter_mut())
        .zip(loss.par_iter_mut().zip(hit.par_iter_mut()))
        .enumerate()
        .with_min_len(SAMPLES)
        .for_each(|(sample, ((cotangent, exponent), (loss, hit)))| {
            let (z, y, l) = value(sample);
            *loss = l;
            *hit = u32::from(is_hit(z, y));
            let scale = match kind {
                0 => accurate_cotangent(z, y, cotangent),
                1 => naive_cotangent(z, y, cotangent),
                _ => square_cotangent(z, y, cotangent),
            };
            *exponent = scale.cast_unsigned();
        });
}

/// Whether the label is the first of the largest logits.
fn is_hit<S: Scalar>(z: &[S], y: usize) -> bool {
    z[..y].iter().all(|other| *other < z[y]) && z[y + 1..].iter().all(|other| *other <= z[y])
}

fn loss_of<S: Scalar>(kind: u32, z: &[S], y: usize) -> S {
    match kind {
        0 => {
            let all = z.iter().enumerate();
            let others = || all.clone().filter(|(j, _)| *j != y).map(|(_, v)| *v);
            let largest = others().fold(S::from_f64(f64::NEG_INFINITY), S::max);
            if z[y] >= largest {
                S::ln_1p(others().map(|v| S::exp(v - z[y])).sum::<S>())
            } else {
                let sum: S = z.iter().map(|v| S::exp(*v - largest)).sum();
                largest - z[y] + S::ln(sum)
            }
        }
        1 => -log_softmax(z)(z[y]),
        _ => {
            let square = |(j, v): (usize, &S)| {
                let off = *v - if j == y { S::ONE } else { S::ZERO };
                off * off
            };
            z.iter().enumerate().map(square).sum::<S>() / S::from_f64(z.len() as f64)
        }
    }
}

fn accurate_cotangent<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> i32 {
    let all = competitors(z, y, cotangent);
    if all.sum == 0.0 {
        cotangent.fill(S::ZERO);
        return 0;
    }
    // F = exp(m2 - m)/S with S relative to m, so F Q = 2^power * mantissa.
    let (mantissa, power) = scale_to_unit(all.sum / all.partition, all.behind);
    let factor = S::from_f64(mantissa / all.sum);
    cotangent.iter_mut().for_each(|c| *c *= factor);
    cotangent[y] = -S::from_f64(mantissa);
    -power
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

fn naive_cotangent<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> i32 {
    let log_p = log_softmax(z);
    for (c, v) in cotangent.iter_mut().zip(z) {
        *c = S::exp(log_p(*v));
    }
    cotangent[y] = cotangent[y] - S::ONE;
    scale_by(cotangent)
}

fn square_cotangent<S: Scalar>(z: &[S], y: usize, cotangent: &mut [S]) -> i32 {
    let factor = S::from_f64(2.0 / z.len() as f64);
    for (c, v) in cotangent.iter_mut().zip(z) {
        *c = *v * factor;
    }
    cotangent[y] = (z[y] - S::ONE) * factor;
    scale_by(cotangent)
}
