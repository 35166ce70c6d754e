//! Layer normalisation, where a transformer has it: its passes, and its gain and shift as sites.

use crate::model::parts::{Weights, rows};
use crate::model::shape::{Norm, TransformerShape};
use crate::plan::{Arena, Kernel, PlanBuilder, Site, SiteKind, View, call};

/// A residual stream as a block sees it, normalised or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normed {
    pub out: View,
    /// Normalised values and inverse standard deviations.
    pub norm: Option<(View, View)>,
}

/// Layer normalisation where the shape asks for it.
pub(super) fn normalise(
    net: Weights<'_>,
    shape: &TransformerShape,
    builder: &mut PlanBuilder,
    name: &str,
    x: View,
    count: usize,
) -> Normed {
    if shape.norm == Norm::None {
        return Normed { out: x, norm: None };
    }
    let d = shape.d_model;
    let normal = builder.buffer(Arena::Activations, format!("{name}.normal"), &[count, d]);
    let inverse_sd = builder.buffer(Arena::Activations, format!("{name}.inverse_sd"), &[count]);
    let out = builder.buffer(Arena::Activations, format!("{name}.out"), &[count, d]);
    let (gain, shift) = (net.view(&format!("{name}.w")), net.view(&format!("{name}.b")));
    builder.op(
        name,
        vec![call(
            Kernel::LayerNorm,
            &[],
            &[x, gain, shift, normal, inverse_sd, out],
            &[count, d],
        )],
    );
    Normed {
        out,
        norm: Some((normal, inverse_sd)),
    }
}

/// Backward through layer normalisation (+ residual); its gain and shift become sites with materialised gradients.
#[allow(clippy::too_many_arguments, reason = "one call of one kernel, and the sites it adds")]
pub(super) fn denormalise(
    net: Weights<'_>,
    builder: &mut PlanBuilder,
    name: &str,
    (normal, inverse_sd): (View, View),
    cotangent: View,
    residual: Option<View>,
    (n, positions, d): (usize, usize, usize),
    sites: &mut Vec<Site>,
) -> View {
    let gain = builder.buffer(Arena::Cotangents, format!("{name}.w.samples"), &[n, d]);
    let shift = builder.buffer(Arena::Cotangents, format!("{name}.b.samples"), &[n, d]);
    let out = builder.buffer(Arena::Cotangents, format!("{name}.d_in"), &[positions, n, d]);
    let bindings: Vec<View> = [
        Some(cotangent),
        Some(normal),
        Some(inverse_sd),
        Some(net.view(&format!("{name}.w"))),
        residual,
        Some(out),
    ]
    .into_iter()
    .flatten()
    .collect();
    builder.op(
        format!("{name}.backward"),
        vec![
            call(
                Kernel::LayerNormSamples,
                &[],
                &[cotangent, normal, gain, shift],
                &[n, positions, d],
            ),
            call(
                Kernel::LayerNormBackward,
                &[("RESIDUAL", u32::from(residual.is_some()))],
                &bindings,
                &[positions * n, d],
            ),
        ],
    );
    for (part, view) in [("w", gain), ("b", shift)] {
        let name = format!("{name}.{part}");
        sites.push(Site {
            kind: SiteKind::Materialised,
            positions: 1,
            d_in: 0,
            d_out: d,
            a: None,
            b: rows(view, n, d),
            ids: None,
            weight: Some(net.place(&name)),
            bias: None,
            name,
        });
    }
    out
}
