//! What the passes of all networks share: parameters as views, batches, gradients from sites.

use super::layout::Layout;
use super::shape::ModelShape;
use super::{mlp, transformer};
use crate::plan::{Arena, Kernel, KernelCall, PlanBuilder, Site, SiteKind, Strided, View, call};

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

/// The samples of a pass.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// How many, N.
    pub n: usize,
    /// Token ids `[T, N]`; absent for real inputs.
    pub ids: Option<View>,
    /// Real inputs `[N, d]`.
    pub inputs: Option<View>,
    /// Labels `[N]`.
    pub labels: View,
}

/// What a forward pass leaves behind.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The samples.
    pub batch: Batch,
    /// `[N, V]`
    pub logits: View,
    pub(super) saved: Saved,
}

/// Captured activations, by architecture.
#[derive(Debug, Clone)]
pub(super) enum Saved {
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
        match &self.shape {
            ModelShape::Transformer(shape) => transformer::forward(self, shape, builder, batch),
            ModelShape::Mlp(shape) => mlp::forward(self, shape, builder, batch),
        }
    }

    /// Adds the backward pass from a cotangent of the logits `[N, V]`, and returns the sites of all parameters.
    pub fn backward(&self, builder: &mut PlanBuilder, forward: &Forward, cotangent: View) -> Vec<Site> {
        match (&self.shape, &forward.saved) {
            (ModelShape::Transformer(shape), Saved::Transformer(saved)) => {
                transformer::backward(self, shape, builder, forward, saved, cotangent)
            }
            (ModelShape::Mlp(shape), Saved::Mlp(saved)) => {
                mlp::backward(self, shape, builder, forward, saved, cotangent)
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

    /// A parameter tensor.
    pub(super) fn weight(&self, name: &str) -> View {
        let tensor = self.layout.tensor(name);
        self.parameters.part(tensor.offset, tensor.len())
    }

    /// The place of a parameter tensor in the layout.
    pub(super) fn place(&self, name: &str) -> usize {
        self.layout
            .tensors
            .iter()
            .position(|t| t.name == name)
            .unwrap_or_else(|| panic!("no tensor {name} in this layout"))
    }
}

/// The dense product with whatever is added to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Product {
    pub transpose: bool,
    pub bias: Option<View>,
    pub residual: Option<View>,
    pub accumulate: bool,
}

impl Product {
    /// out `[m, n]` = a `[m, k]` b and what this adds.
    pub fn call(self, a: View, b: View, out: View, [m, k, n]: [usize; 3]) -> KernelCall {
        let bindings: Vec<View> = [Some(a), Some(b), self.bias, self.residual, Some(out)]
            .into_iter()
            .flatten()
            .collect();
        call(
            Kernel::Matmul,
            &[
                ("TRANSPOSE_B", u32::from(self.transpose)),
                ("BIAS", u32::from(self.bias.is_some())),
                ("RESIDUAL", u32::from(self.residual.is_some())),
                ("ACCUMULATE", u32::from(self.accumulate)),
            ],
            &bindings,
            &[m, k, n],
        )
    }
}

/// Rows (t, n) of a `[T, N, width]` buffer.
pub(super) fn rows(view: View, n: usize, width: usize) -> Strided {
    Strided {
        view,
        stride_n: width,
        stride_t: n * width,
    }
}
