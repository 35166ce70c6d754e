//! gradient_filter — the Grokfast filter: taken = gradient + lambda average.
//! FILTER 0 ema: average = alpha average + (1 - alpha) gradient, begun with the first gradient, as in its authors' code.
//! FILTER 1 ma: mean of the last `window` gradients, oldest first, none before there are so many.
//!
//! in 0 gradient [P]   inout 1 memory [P], or [window, P] with the gradient of step t in row t mod window
//! in 2 scalars (rates)   out 3 taken [P]   params len P, window   control: step

use rayon::prelude::*;

use super::support::ELEMENTS;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [len, window] = args.params();
    let step = args.control()[control::STEP] as usize;
    let scalars = args.wide("scalars");
    let lambda = S::from_f64(scalars[control::FILTER_LAMBDA]);
    let (gradient, memory, taken) = (args.real("gradient"), args.real_mut("memory"), args.real_mut("taken"));
    if args.constant("FILTER") == 0 {
        let alpha = scalars[control::FILTER_ALPHA];
        let (keep, new) = (S::from_f64(alpha), S::from_f64(1.0 - alpha));
        taken
            .par_chunks_mut(ELEMENTS)
            .zip(memory.par_chunks_mut(ELEMENTS).zip(gradient.par_chunks(ELEMENTS)))
            .for_each(|(taken, (average, gradient))| {
                for ((taken, average), g) in taken.iter_mut().zip(average).zip(gradient) {
                    *average = if step == 0 { *g } else { keep * *average + new * *g };
                    *taken = *g + lambda * *average;
                }
            });
        return;
    }
    memory[step % window * len..][..len].copy_from_slice(gradient);
    let is_full = step + 1 >= window;
    let (memory, count) = (&*memory, S::from_f64(window as f64));
    taken.par_chunks_mut(ELEMENTS).enumerate().for_each(|(block, taken)| {
        let start = block * ELEMENTS;
        taken.copy_from_slice(&gradient[start..][..taken.len()]);
        if !is_full {
            return;
        }
        let mut sums = vec![S::ZERO; taken.len()];
        for age in 1..=window {
            let row = &memory[(step + age) % window * len + start..][..taken.len()];
            sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += *g);
        }
        for (taken, sum) in taken.iter_mut().zip(sums) {
            *taken += lambda * (sum / count);
        }
    });
}
