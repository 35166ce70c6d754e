//! Gradients of parameters from captured inputs and cotangents, and sums over parameters.

use super::BLOCK;
use super::parts::{flag, no_flops, product, read, update, when, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// Gradient of a weight `[d_in, d_out]` (and bias): sum over rows of 2^-`exponent[row mod n]` a b / divisor; with
    /// ACCUMULATE added to what is there.
    WEIGHT_GRADIENT = "weight_gradient" {
        bindings: [
            read("a", Real), read("b", Real), read("exponent", Word), update("weight", Real),
            when(update("bias", Real), "BIAS"),
        ],
        params: [rows, n, d_in, d_out, divisor],
        constants: [flag("BIAS"), flag("ACCUMULATE")],
        items: |p| product(p, &[2, 3]),
        flops: |p| 2 * product(p, &[0, 2, 3]),
    }
    /// Gradient of an embedding table `[rows, d]`: row id + t * id_step collects 2^-`exponent[n]` b(n, t) / divisor.
    EMBED_BACKWARD = "embed_backward" {
        bindings: [read("b", Real), read("ids", Word), read("exponent", Word), update("table", Real)],
        params: [n, t, d, stride_n, stride_t, id_step, rows, divisor],
        constants: [flag("ACCUMULATE")],
        items: |p| product(p, &[6, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// out `[planes, d]` = sum over n of 2^-`exponent[n]` x(plane, n) / divisor, rows spread by stride_n and stride_t.
    COLUMN_SUMS = "column_sums" {
        bindings: [read("x", Real), read("exponent", Word), update("out", Real)],
        params: [n, planes, d, stride_n, stride_t, divisor],
        constants: [flag("ACCUMULATE")],
        items: |p| product(p, &[1, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// partial `[blocks]` = dot products of blocks of 16,384 elements of x and y.
    DOT = "dot" {
        bindings: [read("x", Real), read("y", Real), write("partial", Wide)],
        params: [len],
        constants: [],
        items: |p| u64::from(p[0]).div_ceil(BLOCK as u64),
        flops: |p| 2 * u64::from(p[0]),
    }
    /// out `[width]` = sums of the rows of partial `[rows, width]`, in order.
    SUM_ROWS = "sum_rows" {
        bindings: [read("partial", Wide), write("out", Wide)],
        params: [rows, width],
        constants: [],
        items: |p| p[1].into(),
        flops: |p| product(p, &[0, 1]),
    }
    /// out = input.
    COPY = "copy" {
        bindings: [read("input", Real), write("out", Real)],
        params: [len],
        constants: [],
        items: |p| p[0].into(),
        flops: no_flops,
    }
}
