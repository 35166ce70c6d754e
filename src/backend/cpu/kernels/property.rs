//! property — value of a property at every sample; with GRADIENT the scaled cotangent of its logits.
//! PROPERTY 0 logit of `own_class`, 1 its probability, 2 log odds of the label, z_y - ln sum over j != y of exp z_j.
//!
//! in 0 logits [N, V]   in 1 labels [N]   out 2 value [N]   out 3 cotangent [N, V]   out 4 exponent [N]
//! params n, classes V, own_class   order: classes ascending
//!
//! The probability's cotangent is p_c (1 - p_c) at c and -p_c p_j elsewhere, formed from the competitors of c as in
//! `loss`, so that it survives p near 0 and near 1.

use rayon::prelude::*;

use super::scaled::{competitors, scale_to_unit};
use super::support::SAMPLES;
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, classes, class] = args.params();
    let kind = args.constant("PROPERTY");
    let (logits, labels) = (args.real("logits"), args.word("labels"));
    let own = |sample: usize| if kind == 2 { labels[sample] as usize } else { class };
    let value = args.real_mut("value");
    if !args.flag("GRADIENT") {
        value.par_iter_mut().enumerate().with_min_len(SAMPLES).for_each_init(
            || vec![S::ZERO; classes],
            |q, (sample, value)| {
                let z = &logits[sample * classes..][..classes];
                *value = evaluate(kind, z, own(sample), q).0;
            },
        );
        return;
    }
    args.real_mut("cotangent")
        .par_chunks_exact_mut(classes)
        .zip(args.word_mut("exponent").par_iter_mut())
        .zip(value.par_iter_mut())
        .enumerate()
        .with_min_len(SAMPLES)
        .for_each(|(sample, ((cotangent, exponent), value))| {
            let z = &logits[sample * classes..][..classes];
            let (v, power) = evaluate(kind, z, own(sample), cotangent);
            *value = v;
            *exponent = (-power).cast_unsigned();
        });
}

/// The value, and the power of two that the cotangent left in `cotangent` is to be multiplied with.
fn evaluate<S: Scalar>(kind: u32, z: &[S], own: usize, cotangent: &mut [S]) -> (S, i32) {
    if kind == 0 {
        cotangent.fill(S::ZERO);
        cotangent[own] = S::ONE;
        return (z[own], 0);
    }
    let all = competitors(z, own, cotangent);
    if all.sum == 0.0 {
        cotangent.fill(S::ZERO);
        return (if kind == 1 { S::ONE } else { S::from_f64(f64::INFINITY) }, 0);
    }
    if kind == 2 {
        let inverse = S::from_f64(-1.0 / all.sum);
        cotangent.iter_mut().for_each(|c| *c *= inverse);
        cotangent[own] = S::ONE;
        return (S::from_f64(all.own - all.behind - all.sum.ln()), 0);
    }
    // p_c (1 - p_c) = exp(z_c - m) exp(m2 - m) Q / S^2
    let joint = all.sum / (all.partition * all.partition);
    let (mantissa, power) = scale_to_unit(joint, all.own + all.behind);
    let factor = S::from_f64(-mantissa / all.sum);
    cotangent.iter_mut().for_each(|c| *c *= factor);
    cotangent[own] = S::from_f64(mantissa);
    (S::from_f64(all.own.exp() / all.partition), power)
}
