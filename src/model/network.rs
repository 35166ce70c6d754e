//! A network in a plan: its parameters, its passes by architecture, gradients from sites.

use super::layout::Layout;
use super::parts::{Batch, Weights};
use super::shape::ModelShape;
use super::{mlp, transformer};
use crate::plan::{Arena, Kernel, PlanBuilder, Site, SiteKind, View, call};

/// A network whose parameters lie in a buffer of a plan.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its shape.
    pub shape: ModelShape,
    /// Where each parameter lies.
    pub layout: Layout,
    /// The flat parameters `[P]`.
    pub parameters: View,
}

/// What a forward pass leaves behind.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The samples.
    pub batch: Batch,
    /// `[N, V]`
    pub logits: View,
    saved: Saved,
}

/// Captured activations, by architecture.
#[derive(Debug, Clone)]
enum Saved {
    Transformer(transformer::Saved),
    Mlp(mlp::Saved),
}

impl Network {
    /// A new network: makes the parameter buffer.
    pub fn new(builder: &mut PlanBuilder, shape: &ModelShape) -> Self {
        let layout = Layout::new(shape);
        let parameters = builder.buffer(Arena::Parameters, "parameters", &[layout.len]);
        Self {
            shape: shape.clone(),
            layout,
            parameters,
        }
    }

    /// Adds a forward pass to the current segment.
    pub fn forward(&self, builder: &mut PlanBuilder, batch: Batch) -> Forward {
        let (logits, saved) = match &self.shape {
            ModelShape::Transformer(shape) => {
                let (logits, saved) = transformer::forward(self.weights(), shape, builder, batch);
                (logits, Saved::Transformer(saved))
            }
            ModelShape::Mlp(shape) => {
                let (logits, saved) = mlp::forward(self.weights(), shape, builder, batch);
                (logits, Saved::Mlp(saved))
            }
        };
        Forward { batch, logits, saved }
    }

    /// Adds the backward pass from a cotangent of the logits `[N, V]`, and returns the sites of all parameters.
    pub fn backward(&self, builder: &mut PlanBuilder, forward: &Forward, cotangent: View) -> Vec<Site> {
        let (weights, batch) = (self.weights(), forward.batch);
        match (&self.shape, &forward.saved) {
            (ModelShape::Transformer(shape), Saved::Transformer(saved)) => {
                transformer::backward(weights, shape, builder, batch, saved, cotangent)
            }
            (ModelShape::Mlp(shape), Saved::Mlp(saved)) => {
                mlp::backward(weights, shape, builder, batch, saved, cotangent)
            }
            _ => unreachable!("a forward pass of the same network"),
        }
    }

    /// Adds the gradient `[P]`: the sum over samples, freed of their scales, over `divisor`; or adds it to what is there.
    pub fn gradient(
        &self,
        builder: &mut PlanBuilder,
        sites: &[Site],
        exponent: View,
        out: View,
        divisor: usize,
        accumulate: bool,
    ) {
        let n = exponent.len();
        for site in sites {
            let weight = site.weight.expect("sites of a network name their weight");
            let tensor = &self.layout.tensors[weight];
            let to = out.part(tensor.offset, tensor.len());
            let accumulate = ("ACCUMULATE", u32::from(accumulate));
            let b = site.b;
            let gradient = match (site.kind, site.a) {
                (SiteKind::Linear | SiteKind::LinearBias, Some(a)) => {
                    let mut bindings = vec![a.view, b.view, exponent, to];
                    if let Some(bias) = site.bias {
                        let tensor = &self.layout.tensors[bias];
                        bindings.push(out.part(tensor.offset, tensor.len()));
                    }
                    call(
                        Kernel::WeightGradient,
                        &[("BIAS", u32::from(site.bias.is_some())), accumulate],
                        &bindings,
                        &[site.positions * n, n, site.d_in, site.d_out, divisor],
                    )
                }
                (SiteKind::Embedding, _) => {
                    let (ids, id_step) = site.ids.expect("embeddings have ids");
                    call(
                        Kernel::EmbedBackward,
                        &[accumulate],
                        &[b.view, ids, exponent, to],
                        &[
                            n,
                            site.positions,
                            site.d_out,
                            b.stride_n,
                            b.stride_t,
                            id_step,
                            tensor.rows,
                            divisor,
                        ],
                    )
                }
                _ => call(
                    Kernel::ColumnSums,
                    &[accumulate],
                    &[b.view, exponent, to],
                    &[n, site.positions, site.d_out, b.stride_n, b.stride_t, divisor],
                ),
            };
            builder.op(format!("{}.gradient", site.name), vec![gradient]);
        }
    }

    fn weights(&self) -> Weights<'_> {
        Weights {
            layout: &self.layout,
            parameters: self.parameters,
        }
    }
}
