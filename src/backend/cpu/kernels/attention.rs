//! attention — causal attention of the last Tq of T positions: pattern = softmax(q.k / sqrt(d_head)), out = pattern v.
//! With MIXED, out = ((1 - mix) pattern + mix / visible) v for a query that sees so many positions.
//!
//! in 0 q [Tq, N, d]   in 1 kv [T, N, 2d], K then V, heads side by side   in 2 scalars (rates), with MIXED
//! out 3 pattern [N, heads, Tq, T], 0 beyond the mask   out 4 out [Tq, N, d]   params n, t, tq, heads, d_head
//! order: positions ascending

use rayon::prelude::*;

use super::support::{Rows, SAMPLES, add_scaled, dot, vectorised};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, t, tq, heads, d_head] = args.params();
    let d = heads * d_head;
    let (q, kv) = (args.real("q"), args.real("kv"));
    let scale = S::from_f64(1.0 / (d_head as f64).sqrt());
    let mixed = args.flag("MIXED");
    let mix = if mixed { args.wide("scalars")[control::ATTENTION_MIX] } else { 0.0 };
    let keep = S::from_f64(1.0 - mix);
    let out = Rows::new(args.real_mut("out"));
    args.real_mut("pattern")
        .par_chunks_mut(SAMPLES * heads * tq * t)
        .enumerate()
        .for_each(|(block, patterns)| {
            vectorised(
                #[inline(always)]
                || {
                    for (place, pattern) in patterns.chunks_exact_mut(heads * tq * t).enumerate() {
                        let sample = block * SAMPLES + place;
                        for (row, scores) in pattern.chunks_exact_mut(t).enumerate() {
                            let (head, query) = (row / tq, row % tq);
                            let at = head * d_head;
                            let q = &q[(query * n + sample) * d + at..][..d_head];
                            let visible = t - tq + query + 1;
                            let mut largest = S::from_f64(f64::NEG_INFINITY);
                            for (key, score) in scores[..visible].iter_mut().enumerate() {
                                *score = dot(q, &kv[(key * n + sample) * 2 * d + at..][..d_head]) * scale;
                                largest = S::max(largest, *score);
                            }
                            let mut sum = S::ZERO;
                            for score in &mut scores[..visible] {
                                *score = S::exp(*score - largest);
                                sum += *score;
                            }
                            scores[visible..].fill(S::ZERO);
                            // SAFETY: row (query, sample) of this head belongs to this sample's task alone.
                            let z = unsafe { out.part((query * n + sample) * d + at, d_head) };
                            z.fill(S::ZERO);
                            let even = S::from_f64(mix / visible as f64);
                            for (key, score) in scores[..visible].iter_mut().enumerate() {
                                *score /= sum;
                                let weight = if mixed { keep * *score + even } else { *score };
                                add_scaled(z, weight, &kv[(key * n + sample) * 2 * d + d + at..][..d_head]);
                            }
                        }
                    }
                },
            );
        });
}
