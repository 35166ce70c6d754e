//! layer_norm_samples — per-sample gradients of gain (sum over t of normal * cotangent) and shift (sum of cotangent).
//!
//! in 0 cotangent [T, N, d]   in 1 normal [T, N, d]   out 2 gain [N, d]   out 3 shift [N, d]   params n, t, d
//! order: t ascending

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, t, d] = args.params();
    let (cotangent, normal) = (args.real("cotangent"), args.real("normal"));
    args.real_mut("gain")
        .par_chunks_exact_mut(d)
        .zip(args.real_mut("shift").par_chunks_exact_mut(d))
        .enumerate()
        .with_min_len(64)
        .for_each(|(sample, (gain, shift))| {
            gain.fill(S::ZERO);
            shift.fill(S::ZERO);
            for place in 0..t {
                let start = (place * n + sample) * d;
                for k in 0..d {
                    gain[k] += normal[start + k] * cotangent[start + k];
                    shift[k] += cotangent[start + k];
                }
            }
        });
}
