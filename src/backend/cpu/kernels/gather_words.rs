//! gather_words — out[plane, i] = source[plane, indices[i]].
//!
//! in 0 indices [B]   in 1 source [planes, N]   out 2 out [planes, B]   params planes, n N, batch B

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, n, batch] = args.params();
    let (indices, source) = (args.word("indices"), args.word("source"));
    for (to, from) in args.word_mut("out").chunks_exact_mut(batch).zip(source.chunks_exact(n)) {
        for (word, index) in to.iter_mut().zip(indices) {
            *word = from[*index as usize];
        }
    }
}
