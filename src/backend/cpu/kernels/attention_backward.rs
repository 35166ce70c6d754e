//! attention_backward — cotangents of q and kv from that of the attention's output.
//!
//! in 0 cotangent [Tq, N, d]   in 1 pattern [N, heads, Tq, T]   in 2 q [Tq, N, d]   in 3 kv [T, N, 2d]
//! in 4 scalars (rates), with MIXED   out 5 dq [Tq, N, d]   out 6 dkv [T, N, 2d]   params n, t, tq, heads, d_head
//! order: queries, then keys, ascending
//!
//! With MIXED, the weight of a value is (1 - mix) of its pattern and mix / visible, and 1 - mix of its cotangent is the
//! pattern's.

use rayon::prelude::*;

use super::support::{Rows, SAMPLES, add_scaled, dot, vectorised};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, t, tq, heads, d_head] = args.params();
    let d = heads * d_head;
    let (cotangent, pattern) = (args.real("cotangent"), args.real("pattern"));
    let (q, kv) = (args.real("q"), args.real("kv"));
    let mixed = args.flag("MIXED");
    let mix = if mixed { args.wide("scalars")[control::ATTENTION_MIX] } else { 0.0 };
    let keep = S::from_f64(1.0 - mix);
    let scale = S::from_f64((1.0 - mix) / (d_head as f64).sqrt());
    let (dq, dkv) = (Rows::new(args.real_mut("dq")), Rows::new(args.real_mut("dkv")));
    (0..n.div_ceil(SAMPLES)).into_par_iter().for_each(|block| {
        let mut weights = vec![S::ZERO; t];
        vectorised(
            #[inline(always)]
            || {
                for sample in block * SAMPLES..n.min((block + 1) * SAMPLES) {
                    for key in 0..t {
                        // SAFETY: rows (·, sample) belong to this sample's task alone.
                        unsafe { dkv.part((key * n + sample) * 2 * d, 2 * d) }.fill(S::ZERO);
                    }
                    for head in 0..heads {
                        let at = head * d_head;
                        for query in 0..tq {
                            let row = (query * n + sample) * d + at;
                            let dz = &cotangent[row..][..d_head];
                            let scores = &pattern[((sample * heads + head) * tq + query) * t..][..t];
                            let visible = t - tq + query + 1;
                            let even = S::from_f64(mix / visible as f64);
                            let mut along = S::ZERO;
                            for key in 0..visible {
                                let v = (key * n + sample) * 2 * d + d + at;
                                weights[key] = dot(dz, &kv[v..][..d_head]);
                                along += weights[key] * scores[key];
                                let share = if mixed { keep * scores[key] + even } else { scores[key] };
                                // SAFETY: as above; the borrow ends here.
                                add_scaled(unsafe { dkv.part(v, d_head) }, share, dz);
                            }
                            // SAFETY: as above.
                            let dq = unsafe { dq.part(row, d_head) };
                            dq.fill(S::ZERO);
                            for key in 0..visible {
                                let k = (key * n + sample) * 2 * d + at;
                                let weight = scores[key] * (weights[key] - along) * scale;
                                add_scaled(dq, weight, &kv[k..][..d_head]);
                                // SAFETY: as above; the borrow ends here.
                                add_scaled(unsafe { dkv.part(k, d_head) }, weight, &q[row..][..d_head]);
                            }
                        }
                    }
                }
            },
        );
    });
}
