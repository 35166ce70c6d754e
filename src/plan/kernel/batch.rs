//! The step's minibatch: which samples, and their tokens, inputs and labels.

use super::parts::{no_flops, product, read, write};
use crate::plan::buffer::Element::{Real, Word};

contracts! {
    /// Indices of the step's minibatch: entries [tB, tB + B) of the concatenated epoch permutations of n samples.
    BATCH_INDICES = "batch_indices" {
        bindings: [write("indices", Word)],
        params: [batch, n],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
    /// `out[plane, i]` = `source[plane, indices[i]]`: tokens and labels of a batch.
    GATHER_WORDS = "gather_words" {
        bindings: [read("indices", Word), read("source", Word), write("out", Word)],
        params: [planes, n, batch],
        constants: [],
        items: |p| product(p, &[0, 2]),
        flops: no_flops,
    }
    /// `out[i, :]` = `source[indices[i], :]`: real inputs of a batch.
    GATHER_REALS = "gather_reals" {
        bindings: [read("indices", Word), read("source", Real), write("out", Real)],
        params: [batch, width],
        constants: [],
        items: |p| product(p, &[0, 1]),
        flops: no_flops,
    }
}
