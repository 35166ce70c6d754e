//! Gram matrices beside that of the loss's gradients: where they start, their forms, their ranks.

use super::parts::{choice, flag, no_flops, one, product, read, tiles, update, when, write};
use crate::plan::buffer::Element::{Real, Wide, Word};
use crate::plan::layout::PROBE_STEPS;

contracts! {
    /// Cotangent `[N, V]` of the margin z_y - mean z of the label's logit: the same for every sample but for the label.
    MARGIN = "margin" {
        bindings: [read("labels", Word), write("cotangent", Real), write("exponent", Word)],
        params: [n, classes],
        constants: [],
        items: |p| product(p, &[0, 1]),
        flops: |p| product(p, &[0, 1]),
    }
    /// From K as scaled: one matrix [N, N] and its sums `[8 + N]` (see `plan::layout`). FORM 0 raw on the common scale of
    /// `gram_forms`, 1 the cosines of non-zero gradients, less their means by rows and columns.
    GRAM_FORM = "gram_form" {
        bindings: [read("gram", Real), read("exponent", Word), write("form", Wide), write("sums", Wide)],
        params: [n],
        constants: [choice("FORM", &[0, 1])],
        items: |p| p[0].into(),
        flops: |p| 8 * product(p, &[0, 0]),
    }
    /// Ranks and nulls of one form, from its sums and (with SPECTRUM) its eigenvalues; with CENTRED unit vectors less
    /// their mean.
    FORM_RANKS = "form_ranks" {
        bindings: [read("sums", Wide), when(read("eigenvalues", Wide), "SPECTRUM"), write("ranks", Wide)],
        params: [n, parameters],
        constants: [flag("SPECTRUM"), flag("CENTRED")],
        items: one,
        flops: |p| 8 * product(p, &[0, 0]),
    }
    /// Ranks of a large form estimated from its leading eigenvalues and from random probes of the rest, into `ranks` [9] in
    /// the order of `form_ranks`; and standard errors [3] of erank_sigma, erank_lambda and stable_rank. `room` holds the vectors
    /// of a backend that cannot allocate, as many numbers as `plan::layout::lanczos_room` says. At most
    /// `dimensions` are searched for leading eigenvalues, themselves at most `plan::layout::KRYLOV`.
    LANCZOS = "lanczos" {
        bindings: [
            read("form", Wide), read("sums", Wide), update("ranks", Wide), write("errors", Wide), update("room", Wide),
        ],
        params: [n, probes, dimensions],
        constants: [],
        items: one,
        flops: |p| 2 * product(p, &[0, 0]) * (u64::from(p[2]) + PROBE_STEPS as u64 * u64::from(p[1])),
    }
    /// Agreement of the pairs of non-zero gradients in blocks of K as scaled: both among the first `first` samples, both among the
    /// rest, one of each; in each block all pairs, those of one label and those of two. Mean cosine and mean sign of each: out [18].
    BLOCK_STATISTICS = "block_statistics" {
        bindings: [read("gram", Real), read("labels", Word), write("agreement", Wide)],
        params: [n, first],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 4 * product(p, &[0, 0]),
    }
    /// Adam's metric of every parameter, from the second moments [3, P] before the step's update; NaN before the first.
    ADAM_METRIC = "adam_metric" {
        bindings: [read("moments", Real), read("scalars", Wide), write("metric", Real)],
        params: [len],
        constants: [],
        items: |p| p[0].into(),
        flops: |p| 4 * u64::from(p[0]),
    }
    /// The Gram matrix [N, N] of the per-sample gradients in a diagonal metric [P], as scaled; offsets [sites, 2] of each
    /// site's weight and bias among the parameters.
    GRAM_METRIC = "gram_metric" {
        bindings: [
            read("activations", Real), read("cotangents", Real), read("ids", Word), read("sites", Word),
            read("offsets", Word), read("metric", Real), write("gram", Real),
        ],
        params: [n, sites],
        constants: [],
        items: tiles,
        flops: no_flops,
    }
}
