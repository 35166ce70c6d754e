//! The gradient of parameters from the sites where they are used.

use super::layout::Layout;
use crate::plan::{Kernel, PlanBuilder, Site, SiteKind, View, call};

/// Adds the gradient of all parameters in `layout` `[P]`: the sum over samples, freed of their scales, over `divisor`; or
/// adds it to what is there.
pub(crate) fn gradient(
    builder: &mut PlanBuilder,
    layout: &Layout,
    sites: &[Site],
    exponent: View,
    out: View,
    divisor: usize,
    accumulate: bool,
) {
    let n = exponent.len();
    for site in sites {
        let weight = site.weight.expect("sites of a layout name their tensor");
        let tensor = &layout.tensors[weight];
        let to = out.part(tensor.offset, tensor.len());
        let accumulate = ("ACCUMULATE", u32::from(accumulate));
        let b = site.b;
        let gradient = match (site.kind, site.a) {
            (SiteKind::Linear | SiteKind::LinearBias, Some(a)) => {
                let mut bindings = vec![a.view, b.view, exponent, to];
                if let Some(bias) = site.bias {
                    let tensor = &layout.tensors[bias];
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
