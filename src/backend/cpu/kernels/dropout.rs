//! dropout — x = 0 where the draw of its element falls below the step's share, else x / (1 - share).
//!
//! inout 0 x [len]   in 1 scalars (rates)   params len, layer   control: seed, step
//!
//! The draw of element k is word k mod 4 of Philox block [k / 4, layer, step, purpose] under the run's seed: forward and
//! backward pass find the same. It is dropped if the word is below share 2^32.

use rayon::prelude::*;

use super::support::ELEMENTS;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;
use crate::random::{Purpose, Stream};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, layer] = args.params();
    let share = args.wide("scalars")[control::DROPOUT];
    if share == 0.0 {
        return;
    }
    let draws = Stream::new(control::seed(args.control()), Purpose::Dropout).substream(args.control()[control::STEP]);
    let (threshold, scale) = (share * 2f64.powi(32), S::from_f64(1.0 / (1.0 - share)));
    args.real_mut("x")
        .par_chunks_mut(ELEMENTS)
        .enumerate()
        .for_each(|(block, x)| {
            for (four, x) in x.chunks_mut(4).enumerate() {
                let words = draws.block((layer as u64) << 32 | (block * ELEMENTS / 4 + four) as u64);
                for (x, word) in x.iter_mut().zip(words) {
                    *x = if f64::from(word) < threshold { S::ZERO } else { *x * scale };
                }
            }
        });
}
