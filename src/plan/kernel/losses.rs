//! What ends a forward pass: losses, properties, their means and changes.

use super::BLOCK;
use super::parts::{choice, flag, one, product, read, update, when, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// Loss and hit of every sample; with GRADIENT the cotangent of its logits, scaled by 2^exponent into [1/2, 1).
    /// LOSS 0 cross-entropy without cancellation, 1 naive cross-entropy, 2 mean squared error over classes, 3 StableMax.
    LOSS = "loss" {
        bindings: [
            read("logits", Real), read("labels", Word), write("loss", Real), write("hit", Word),
            when(write("cotangent", Real), "GRADIENT"), when(write("exponent", Word), "GRADIENT"),
        ],
        params: [n, classes],
        constants: [choice("LOSS", &[0, 1, 2, 3]), flag("GRADIENT")],
        items: |p| p[0].into(),
        flops: |p| 6 * product(p, &[0, 1]),
    }
    /// Value of a property at every sample, weighted by 1; with GRADIENT the scaled cotangent of its logits.
    /// PROPERTY 0 logit of `own_class`, 1 its probability, 2 log odds of the label.
    PROPERTY = "property" {
        bindings: [
            read("logits", Real), read("labels", Word), write("value", Real),
            when(write("cotangent", Real), "GRADIENT"), when(write("exponent", Word), "GRADIENT"),
        ],
        params: [n, classes, own_class],
        constants: [choice("PROPERTY", &[0, 1, 2]), flag("GRADIENT")],
        items: |p| p[0].into(),
        flops: |p| 6 * product(p, &[0, 1]),
    }
    /// Value of a linear read-out of every sample's logits, with the row of coefficients that `rows` names; with GRADIENT
    /// the scaled cotangent of its logits, which is that row.
    READ_OUT = "read_out" {
        bindings: [
            read("logits", Real), read("rows", Word), read("coefficients", Real), write("value", Real),
            when(write("cotangent", Real), "GRADIENT"), when(write("exponent", Word), "GRADIENT"),
        ],
        params: [n, classes],
        constants: [flag("GRADIENT")],
        items: |p| p[0].into(),
        flops: |p| 2 * product(p, &[0, 1]),
    }
    /// out `[m, n]` = matrix `[m, k]` x `[k, n]`, where row j of x stands for 2^-`exponent[j]` times what it holds; row i of
    /// out is scaled by 2^`out_exponent[i]` into [1/2, 1).
    SCALED_PRODUCT = "scaled_product" {
        bindings: [
            read("matrix", Real), read("x", Real), read("exponent", Word), write("out", Real),
            write("out_exponent", Word),
        ],
        params: [m, k, n],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// Sum of losses / total and hits / total: out `[2]`; with ACCUMULATE added to what is there.
    LOSS_MEAN = "loss_mean" {
        bindings: [read("loss", Real), read("hit", Word), update("out", Wide)],
        params: [n, total],
        constants: [flag("ACCUMULATE")],
        items: one,
        flops: |p| 2 * u64::from(p[0]),
    }
    /// out `[1]` = sum over samples of (after - before) / divisor, or of after / divisor without BEFORE; with ACCUMULATE
    /// added to what is there.
    DIFFERENCE = "difference" {
        bindings: [when(read("before", Real), "BEFORE"), read("after", Real), update("out", Wide)],
        params: [n, divisor],
        constants: [flag("BEFORE"), flag("ACCUMULATE")],
        items: one,
        flops: |p| 2 * u64::from(p[0]),
    }
    /// partial `[blocks]` of half the change of |theta|^2, (after - before)(after + before)/2; of half of it without BEFORE.
    HALF_NORM_CHANGE = "half_norm_change" {
        bindings: [when(read("before", Real), "BEFORE"), read("after", Real), write("partial", Wide)],
        params: [len],
        constants: [flag("BEFORE")],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 4 * u64::from(p[0]),
    }
}
