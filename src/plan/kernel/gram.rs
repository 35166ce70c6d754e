//! Per-sample gradients: norms, Gram matrix, spectra, ranks.

use super::parts::{flag, no_flops, one, product, read, tiles, update, when, write};
use crate::plan::buffer::Element::{Real, Wide, Word};

contracts! {
    /// norm `[N]` = squared norm of every sample's gradient over all sites, as scaled (true value: 2^(-2 exponent)).
    SAMPLE_NORMS = "sample_norms" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            write("norm", Wide),
        ],
        params: [n, sites],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| product(p, &[0, 1]),
    }
    /// Norms, coherence and noise of the step's batch, from per-sample norms and the squared norm of the mean gradient
    /// (in the scalars).
    BATCH_STATISTICS = "batch_statistics" {
        bindings: [read("norm", Wide), read("exponent", Word), update("scalars", Wide)],
        params: [n],
        constants: [],
        items: one,
        flops: |p| 8 * u64::from(p[0]),
    }
    /// Per-sample gradients of a linear site: out [N, d_in (+ 1 with a bias), d_out], sum over t of a b.
    MATERIALISE = "materialise" {
        bindings: [read("a", Real), read("b", Real), write("out", Real)],
        params: [n, t, d_in, d_out, a_stride_n, a_stride_t, b_stride_n, b_stride_t],
        constants: [flag("BIAS")],
        items: |p| product(p, &[0, 2]),
        flops: |p| 2 * product(p, &[0, 1, 2, 3]),
    }
    /// The Gram matrix K `[N, N]` of the per-sample gradients, as scaled: all sites for one tile of (i, j), tiles i <= j.
    GRAM_TILE = "gram_tile" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            write("gram", Real),
        ],
        params: [n, sites],
        constants: [],
        items: tiles,
        flops: no_flops,
    }
    /// The same tiles, but none is stored: partial sums of each, from which the statistics follow (see its header).
    GRAM_STREAM = "gram_stream" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            read("norm", Wide), read("exponent", Word), write("tiles", Wide),
        ],
        params: [n, sites],
        constants: [],
        items: tiles,
        flops: no_flops,
    }
    /// From K as scaled: the matrices raw, cosine and centred `[3, N, N]` on a common scale, and their sums.
    GRAM_FORMS = "gram_forms" {
        bindings: [read("gram", Real), read("exponent", Word), write("forms", Wide), write("sums", Wide)],
        params: [n],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 20 * product(p, &[0, 0]),
    }
    /// The same sums from the tiles' partial sums, where no matrix is stored.
    GRAM_SUMS = "gram_sums" {
        bindings: [
            read("tiles", Wide), read("norm", Wide), read("exponent", Word), write("sums", Wide),
        ],
        params: [n],
        constants: [],
        items: one,
        flops: |p| 20 * u64::from(p[0]),
    }
    /// Eigenvalues of symmetric matrices `[matrices, N, N]`, ascending: out `[matrices, N]`. What the matrices hold
    /// afterwards means nothing.
    SPECTRUM = "spectrum" {
        bindings: [update("forms", Wide), write("eigenvalues", Wide)],
        params: [matrices, n],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| u64::from(p[0]) * 4 * product(p, &[1, 1, 1]) / 3,
    }
    /// Agreement, ranks and nulls of the three forms, from their sums and (with SPECTRUM) eigenvalues.
    RANK_STATISTICS = "rank_statistics" {
        bindings: [read("sums", Wide), when(read("eigenvalues", Wide), "SPECTRUM"), update("scalars", Wide)],
        params: [n, parameters],
        constants: [flag("SPECTRUM")],
        items: one,
        flops: |p| 20 * product(p, &[0, 0]),
    }
}
