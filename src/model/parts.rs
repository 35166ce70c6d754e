//! What the passes of every network are written with: parameters as views, samples, products, sites.

use super::layout::Layout;
use crate::plan::{Kernel, KernelCall, Site, SiteKind, Strided, View, call};

/// The parameters of a network, by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a> {
    /// Where each parameter lies.
    pub layout: &'a Layout,
    /// The flat parameters `[P]`.
    pub parameters: View,
    /// The scalars with the share of hidden activations that are dropped, in passes that drop any.
    pub dropout: Option<View>,
    /// The scalars with the share of the uniform distribution in patterns of attention, if there may be any.
    pub attention_mix: Option<View>,
}

impl Weights<'_> {
    /// Drops hidden activations of a layer, or the same entries of their cotangent, in passes that drop any.
    pub fn dropped(&self, x: View, layer: usize) -> Option<KernelCall> {
        let scalars = self.dropout?;
        Some(call(Kernel::Dropout, &[], &[x, scalars], &[x.len(), layer]))
    }

    /// A parameter tensor.
    pub fn view(&self, name: &str) -> View {
        let tensor = self.layout.tensor(name);
        self.parameters.part(tensor.offset, tensor.len())
    }

    /// The place of a parameter tensor in the layout.
    pub fn place(&self, name: &str) -> usize {
        self.layout
            .tensors
            .iter()
            .position(|t| t.name == name)
            .unwrap_or_else(|| panic!("no tensor {name} in this layout"))
    }

    /// A linear site: a `[T, N, d_in]` and the cotangent b `[T, N, d_out]` of its output.
    pub fn linear(
        &self,
        weight: &str,
        bias: Option<&str>,
        (a, b): (View, View),
        (n, positions): (usize, usize),
        (d_in, d_out): (usize, usize),
    ) -> Site {
        Site {
            name: weight.to_owned(),
            kind: if bias.is_some() {
                SiteKind::LinearBias
            } else {
                SiteKind::Linear
            },
            positions,
            d_in,
            d_out,
            a: Some(rows(a, n, d_in)),
            b: rows(b, n, d_out),
            ids: None,
            weight: Some(self.place(weight)),
            bias: bias.map(|name| self.place(name)),
        }
    }
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
