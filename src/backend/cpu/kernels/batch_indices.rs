//! batch_indices — the step's minibatch: entries [tB, tB + B) of the concatenated epoch permutations.
//!
//! out 0 indices [B]   params batch B, n
//! control: seed, step

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;
use crate::random;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [batch, n] = args.params();
    let block = args.control();
    let seed = control::seed(block);
    let step = u64::from(block[control::STEP]);
    for (position, index) in args.word_mut("indices").iter_mut().enumerate() {
        *index = random::batch_index(step, position as u32, batch as u32, n as u32, seed);
    }
}
