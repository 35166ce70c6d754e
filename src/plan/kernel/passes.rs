//! Layers, forward and backward.

use super::parts::{choice, flag, product, read, update, when, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// Looks up token ids `[T, N]` in a table `[V, d]`: out row (n, t) = `table[id + t * id_step]` (+ `position[t]`), rows
    /// spread by stride_n and stride_t; with SUM, out row n is the sum over t.
    EMBED = "embed" {
        bindings: [
            read("ids", Word), read("table", Real), when(read("position", Real), "POSITION"), write("out", Real),
        ],
        params: [n, t, d, stride_n, stride_t, id_step],
        constants: [flag("POSITION"), flag("SUM")],
        items: |p| product(p, &[0, 1]),
        flops: |p| product(p, &[0, 1, 2]),
    }
    /// The dense product: out `[m, n]` = a `[m, k]` b `[k, n]` (b transposed: `[n, k]`) (+ bias `[n]`) (+ residual `[m, n]`)
    /// (+ out).
    MATMUL = "matmul" {
        bindings: [
            read("a", Real), read("b", Real), when(read("bias", Real), "BIAS"),
            when(read("residual", Real), "RESIDUAL"), update("out", Real),
        ],
        params: [m, k, n],
        constants: [flag("TRANSPOSE_B"), flag("BIAS"), flag("RESIDUAL"), flag("ACCUMULATE")],
        items: |p| product(p, &[0, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2]),
    }
    /// out = in + out, element by element.
    ADD = "add" {
        bindings: [read("input", Real), update("out", Real)],
        params: [len],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// out = f(input): ACTIVATION 0 relu, 1 gelu (exact), 2 quadratic.
    ACTIVATION = "activation" {
        bindings: [read("input", Real), write("out", Real)],
        params: [len],
        constants: [choice("ACTIVATION", &[0, 1, 2])],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// cotangent = cotangent * f'(input), in place.
    ACTIVATION_BACKWARD = "activation_backward" {
        bindings: [read("input", Real), update("cotangent", Real)],
        params: [len],
        constants: [choice("ACTIVATION", &[0, 1, 2])],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// x = 0 where a draw of the run's seed, the step, this layer and the element falls below the step's share, else
    /// x / (1 - share), in place.
    DROPOUT = "dropout" {
        bindings: [update("x", Real), read("scalars", Wide)],
        params: [len, layer],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| p[0].into(),
    }
    /// Layer normalisation of rows `[rows, d]`: normal = (x - mean)/sqrt(var + 1e-5), out = normal * gain + shift.
    LAYER_NORM = "layer_norm" {
        bindings: [
            read("input", Real), read("gain", Real), read("shift", Real), write("normal", Real),
            write("inverse_sd", Real), write("out", Real),
        ],
        params: [rows, d],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 8 * product(p, &[0, 1]),
    }
    /// Cotangent of layer normalisation's input (+ residual).
    LAYER_NORM_BACKWARD = "layer_norm_backward" {
        bindings: [
            read("cotangent", Real), read("normal", Real), read("inverse_sd", Real), read("gain", Real),
            when(read("residual", Real), "RESIDUAL"), write("out", Real),
        ],
        params: [rows, d],
        constants: [flag("RESIDUAL")],
        items: |p| p[0].into(),
        flops: |p| 8 * product(p, &[0, 1]),
    }
    /// Per-sample gradients of gain and shift: sum over t of normal * cotangent, and of cotangent; `[T, N, d]` to `[N, d]`.
    LAYER_NORM_SAMPLES = "layer_norm_samples" {
        bindings: [read("cotangent", Real), read("normal", Real), write("gain", Real), write("shift", Real)],
        params: [n, t, d],
        constants: [],
        items: |p| product(p, &[0, 2]),
        flops: |p| 3 * product(p, &[0, 1, 2]),
    }
    /// Causal attention, scaled by 1/sqrt(d_head): q `[Tq, N, d]` for the last Tq of T positions, kv `[T, N, 2d]`;
    /// pattern `[N, heads, Tq, T]`, out `[Tq, N, d]`. With MIXED, out is of (1 - mix) pattern + mix / (visible positions),
    /// mix among the rates; pattern is what was learnt.
    ATTENTION = "attention" {
        bindings: [
            read("q", Real), read("kv", Real), when(read("scalars", Wide), "MIXED"), write("pattern", Real),
            write("out", Real),
        ],
        params: [n, t, tq, heads, d_head],
        constants: [flag("MIXED")],
        items: |p| product(p, &[0, 3]),
        flops: |p| 4 * product(p, &[0, 1, 2, 3, 4]),
    }
    /// Cotangents of q and kv from that of the attention's output; pattern and MIXED as in `attention`.
    ATTENTION_BACKWARD = "attention_backward" {
        bindings: [
            read("cotangent", Real), read("pattern", Real), read("q", Real), read("kv", Real),
            when(read("scalars", Wide), "MIXED"), write("dq", Real), write("dkv", Real),
        ],
        params: [n, t, tq, heads, d_head],
        constants: [flag("MIXED")],
        items: |p| product(p, &[0, 3]),
        flops: |p| 8 * product(p, &[0, 1, 2, 3, 4]),
    }
}
