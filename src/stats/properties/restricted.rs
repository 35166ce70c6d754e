//! The restricted loss: the loss of that part of the logits which depends on the operands through their sum alone, at
//! some frequencies.
//!
//! With n the order of the operation's cyclic group, z_i the logits of pair i and s_i the element that its operands add up
//! to, A(s) = mean of z_i over the n pairs with s_i = s is the orthogonal projection of the logits, along the pairs, on
//! functions of the sum. R(s) = sum over s' of Q(s, s') A(s') keeps its mean and the frequencies k of a set,
//!
//!   Q(s, s') = (1 + sum over k of w_k cos(2 pi k (s - s')/n))/n,   w_k = 2, or 1 where 2k = n.
//!
//! That is, z projected on 1, cos(2 pi k s_i/n) and sin(2 pi k s_i/n), as the "trig" logits of Nanda et al. (2301.05217)
//! with their bias correction. Without a set, Q is the identity, that is all frequencies. The restricted loss is the mean
//! over s of the loss of R(s) with the class of s: labels that noise replaced play no part. Its cotangent at z_i is
//! sum over s of Q(s, s_i) b(s)/n^2, b(s) that of the loss of R(s).

use std::sync::Arc;

use super::reading::cosine;
use crate::config::LossKind;
use crate::data::{Part, Samples, Source};
use crate::loss::{Cotangent, losses_of};
use crate::plan::{Arena, Kernel, PlanBuilder, View, call};
use crate::task::Cyclic;

/// Buffers of one restricted loss, which live through a step.
#[derive(Debug, Clone)]
pub(super) struct Restriction {
    pub group: Arc<Cyclic>,
    /// Q with a last row of zeros, for samples without an element: `[n + 1, n]`.
    matrix: View,
    /// Class of each element: `[n]`.
    labels: View,
    /// A with a last row for samples without an element: `[n + 1, V]`.
    sums: View,
    /// R: `[n, V]`.
    logits: View,
    /// Losses of R before and after the update: `[n]`.
    pub before: View,
    pub after: View,
    classes: usize,
}

impl Restriction {
    pub fn new(
        builder: &mut PlanBuilder,
        samples: &mut Samples,
        group: Arc<Cyclic>,
        frequencies: &[usize],
        classes: usize,
    ) -> Self {
        let n = group.order();
        let matrix = builder.buffer(Arena::Inputs, "restricted.matrix", &[n + 1, n]);
        samples.fill(matrix, Source::Train, 0..0, Part::Numbers(projection(n, frequencies)));
        let labels = (0..n).map(|element| group.class(element)).collect();
        let mut kept = |name: &str, shape: &[usize]| builder.buffer(Arena::Values, format!("restricted.{name}"), shape);
        Self {
            matrix,
            sums: kept("sums", &[n + 1, classes]),
            logits: kept("logits", &[n, classes]),
            before: kept("before", &[n]),
            after: kept("after", &[n]),
            labels: builder.table("restricted.labels", labels),
            group,
            classes,
        }
    }

    /// Pairs that have an element.
    pub fn pairs(&self) -> usize {
        self.group.order() * self.group.order()
    }

    /// Adds a pass's logits to A, or begins it.
    pub fn collect(&self, builder: &mut PlanBuilder, logits: View, [elements, unscaled]: [View; 2], more: bool) {
        let (n, order) = (elements.len(), self.group.order());
        builder.op(
            "restricted.sums",
            vec![call(
                Kernel::EmbedBackward,
                &[("ACCUMULATE", u32::from(more))],
                &[logits, elements, unscaled, self.sums],
                &[n, 1, self.classes, self.classes, 0, 0, order + 1, order],
            )],
        );
    }

    /// Adds the losses of R into `out`, and with `cotangent` their cotangents; makes R anew with `project`.
    pub fn losses(
        &self,
        builder: &mut PlanBuilder,
        kind: LossKind,
        out: View,
        project: bool,
        cotangent: Option<Cotangent>,
    ) {
        let n = self.group.order();
        if project {
            builder.op(
                "restricted.logits",
                vec![call(
                    Kernel::Matmul,
                    &[],
                    &[
                        self.matrix.part(0, n * n),
                        self.sums.part(0, n * self.classes),
                        self.logits,
                    ],
                    &[n, n, self.classes],
                )],
            );
        }
        losses_of(builder, kind, self.logits, self.labels, out, cotangent);
    }

    /// Adds the cotangent of the logits of a pass, times the number of pairs.
    pub fn cotangent(&self, builder: &mut PlanBuilder, kind: LossKind, elements: View, out: Cotangent) {
        let (n, order, classes) = (elements.len(), self.group.order(), self.classes);
        let loss = builder.buffer(Arena::Scratch, "restricted.loss", &[order]);
        let of_rows = Cotangent::new(builder, order, classes);
        self.losses(builder, kind, loss, false, Some(of_rows));
        let of_elements = Cotangent::new(builder, order + 1, classes);
        builder.op(
            "restricted.cotangent",
            vec![
                call(
                    Kernel::ScaledProduct,
                    &[],
                    &[
                        self.matrix,
                        of_rows.logits,
                        of_rows.exponent,
                        of_elements.logits,
                        of_elements.exponent,
                    ],
                    &[order + 1, order, classes],
                ),
                call(
                    Kernel::GatherReals,
                    &[],
                    &[elements, of_elements.logits, out.logits],
                    &[n, classes],
                ),
                call(
                    Kernel::GatherWords,
                    &[],
                    &[elements, of_elements.exponent, out.exponent],
                    &[1, order + 1, n],
                ),
            ],
        );
    }
}

/// Q with a row of zeros below it. It is symmetric, so it also takes cotangents back.
fn projection(n: usize, frequencies: &[usize]) -> Vec<f64> {
    let entry = |s: usize, t: usize| {
        if frequencies.is_empty() {
            return if s == t { 1.0 } else { 0.0 };
        }
        let waves = frequencies.iter().map(|&k| {
            let weight = if 2 * k == n { 1.0 } else { 2.0 };
            weight * cosine(k * (s + n - t), n)
        });
        (1.0 + waves.sum::<f64>()) / n as f64
    };
    let mut matrix: Vec<f64> = (0..n * n).map(|place| entry(place / n, place % n)).collect();
    matrix.resize((n + 1) * n, 0.0);
    matrix
}
