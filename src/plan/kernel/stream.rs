//! Statistics of a stream of minibatches.

use super::parts::{one, product, read, update, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// Two independent sketches [N, 2, 8, 8] of every sample's gradient, as scaled: sums over sites and positions of
    /// (L b) x (R a), L and R of random signs drawn anew at each step.
    SKETCH = "sketch" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            write("sketch", Real),
        ],
        params: [n, sites],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 256 * product(p, &[0, 1]),
    }
    /// Sums over a window of steps, and at its end averages of their ratios with standard errors (see its header).
    STREAM = "stream" {
        bindings: [
            read("sketch", Real), read("norm", Wide), read("exponent", Word), read("square", Wide),
            update("state", Wide), write("columns", Wide),
        ],
        params: [n, window],
        constants: [],
        items: one,
        flops: |p| 4 * 64 * 64 * u64::from(p[0]),
    }
}
