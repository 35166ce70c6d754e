//! What stands between the step's mean gradient and the optimiser.

use super::parts::{no_flops, one, read, update, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// factor = min(1, clip / (|x| + 1e-6)) from square = |x|^2 and the step's clip, as PyTorch's clip_grad_norm_; 1 where
    /// clip is 0.
    CLIP = "clip" {
        bindings: [read("square", Wide), read("scalars", Wide), write("factor", Wide)],
        params: [],
        constants: [],
        items: one,
        flops: no_flops,
    }
    /// x = `factor[region]` x, region by region; ends `[regions]` says where each region of x ends.
    SCALE = "scale" {
        bindings: [update("x", Real), read("factor", Wide), read("ends", Word)],
        params: [len, regions],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
}
