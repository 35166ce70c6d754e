//! What stands between the step's mean gradient and the optimiser.

use super::BLOCK;
use super::parts::{choice, flag, no_flops, one, product, read, update, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// x = x + noise normal, independent of step to step and entry to entry; with RELATIVE the noise is in units of
    /// sqrt(mean_square / len), the squared norm of the step's mean gradient being in the scalars.
    GRADIENT_NOISE = "gradient_noise" {
        bindings: [update("x", Real), read("scalars", Wide)],
        params: [len],
        constants: [flag("RELATIVE")],
        items: |p| p[0].into(),
        flops: |p| 2 * u64::from(p[0]),
    }
    /// What brings the weights back to the norm that is held: factor `[regions]` = norm / sqrt(after), excess = factor - 1,
    /// norm = the step's multiple of sqrt(aim), aim the squared norms before the first update. 1 and 0 where either
    /// is zero.
    HOLD_NORM = "hold_norm" {
        bindings: [
            read("before", Wide), read("after", Wide), read("scalars", Wide), update("aim", Wide),
            write("factor", Wide), write("excess", Wide),
        ],
        params: [regions],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
    /// partial `[blocks]` of |x - y|^2, by blocks of 16,384 elements.
    DISTANCE = "distance" {
        bindings: [read("x", Real), read("y", Real), write("partial", Wide)],
        params: [len],
        constants: [],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 3 * u64::from(p[0]),
    }
    /// The Grokfast filter: taken = gradient + lambda average, the average kept in memory. FILTER 0 ema, memory `[P]`;
    /// 1 ma, memory `[window, P]`, the last gradients at their step modulo the window, averaged once there are so many.
    GRADIENT_FILTER = "gradient_filter" {
        bindings: [read("gradient", Real), update("memory", Real), read("scalars", Wide), write("taken", Real)],
        params: [len, window],
        constants: [choice("FILTER", &[0, 1])],
        items: |p| p[0].into(),
        flops: |p| 4 * product(p, &[0, 1]),
    }
    /// share `[1]`: what of the filtered gradient is the step's own, as a multiple of it.
    FILTER_SHARE = "filter_share" {
        bindings: [read("scalars", Wide), write("share", Wide)],
        params: [window],
        constants: [choice("FILTER", &[0, 1])],
        items: one,
        flops: no_flops,
    }
    /// partial `[blocks, regions]` = dot products of x and y within each region, by blocks of 16,384 elements.
    REGION_SUMS = "region_sums" {
        bindings: [read("x", Real), read("y", Real), read("ends", Word), write("partial", Wide)],
        params: [len, regions],
        constants: [],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 2 * u64::from(p[0]),
    }
    /// x = x - (along / (square + 1e-30)) theta, region by region: along `[regions]` = x . theta, square = |theta|^2.
    PERPENDICULAR = "perpendicular" {
        bindings: [
            update("x", Real), read("theta", Real), read("along", Wide), read("square", Wide), read("ends", Word),
        ],
        params: [len, regions],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 2 * u64::from(p[0]),
    }
    /// factor `[regions]` = sqrt(before) / (sqrt(after) + 1e-30), from squared norms.
    NORM_RATIO = "norm_ratio" {
        bindings: [read("before", Wide), read("after", Wide), write("factor", Wide)],
        params: [regions],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
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
