//! The MLP's passes. One-hot input is a look-up: the first layer's rows of a sample's tokens are summed.

use super::parts::{Batch, Product, Weights};
use super::shape::MlpShape;
use crate::config::MlpInput;
use crate::plan::{Arena, Kernel, PlanBuilder, Site, SiteKind, Strided, View, call};

/// Captured activations of a pass.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Input of every layer; none for one-hot tokens.
    inputs: Vec<Option<View>>,
    /// Values before the non-linearity of every layer but the last.
    pre: Vec<View>,
}

impl Saved {
    /// Activations of every hidden layer, `[N, width]`.
    pub fn hidden(&self) -> Vec<View> {
        self.inputs.iter().skip(1).copied().flatten().collect()
    }
}

/// Widths of all layers' outputs.
fn widths(shape: &MlpShape) -> Vec<usize> {
    shape.hidden.iter().copied().chain([shape.d_vocab_out]).collect()
}

pub(super) fn forward(net: Weights<'_>, shape: &MlpShape, builder: &mut PlanBuilder, batch: Batch) -> (View, Saved) {
    let n = batch.n;
    let mut input = first_input(net, shape, builder, &batch);
    let widths = widths(shape);
    let mut saved = Saved {
        inputs: Vec::new(),
        pre: Vec::new(),
    };
    let mut d_in = shape.d_in();
    let mut out = input.unwrap_or(batch.labels);
    for (l, d_out) in widths.iter().copied().enumerate() {
        let last = l + 1 == widths.len();
        let (arena, name) = if last {
            (Arena::Scratch, "logits".to_owned())
        } else {
            (Arena::Activations, format!("layers.{l}.pre"))
        };
        out = builder.buffer(arena, name, &[n, d_out]);
        let weight = net.view(&format!("layers.{l}.W"));
        let bias = shape.bias.then(|| net.view(&format!("layers.{l}.b")));
        let mut calls = match input {
            Some(a) => {
                let product = Product {
                    bias,
                    ..Product::default()
                };
                vec![product.call(a, weight, out, [n, d_in, d_out])]
            }
            None => one_hot(shape, &batch, weight, bias, out, d_out),
        };
        saved.inputs.push(input);
        if !last {
            saved.pre.push(out);
            let hidden = builder.buffer(Arena::Activations, format!("layers.{l}.out"), &[n, d_out]);
            calls.push(call(
                Kernel::Activation,
                &[("ACTIVATION", shape.activation.code())],
                &[out, hidden],
                &[n * d_out],
            ));
            calls.extend(net.dropped(hidden, l));
            input = Some(hidden);
        }
        builder.op(format!("layers.{l}"), calls);
        d_in = d_out;
    }
    (out, saved)
}

/// The first layer's input `[N, d_in]`; none for one-hot tokens.
fn first_input(net: Weights<'_>, shape: &MlpShape, builder: &mut PlanBuilder, batch: &Batch) -> Option<View> {
    let n = batch.n;
    match shape.input {
        MlpInput::OneHot => None,
        MlpInput::Embedding => {
            let (t, d) = (shape.n_ctx, shape.d_model);
            let x = builder.buffer(Arena::Activations, "embedded", &[n, t * d]);
            let ids = batch.ids.expect("embedded samples have tokens");
            builder.op(
                "embed",
                vec![call(
                    Kernel::Embed,
                    &[],
                    &[ids, net.view("embed.W_E"), x],
                    &[n, t, d, t * d, d, 0],
                )],
            );
            Some(x)
        }
        MlpInput::Float => {
            let source = batch.inputs.expect("samples have real inputs");
            let x = builder.buffer(Arena::Activations, "inputs", &[n, shape.d_model]);
            builder.op(
                "inputs",
                vec![call(Kernel::Copy, &[], &[source, x], &[n * shape.d_model])],
            );
            Some(x)
        }
    }
}

/// The first layer on one-hot tokens: sums of its rows.
fn one_hot(
    shape: &MlpShape,
    batch: &Batch,
    weight: View,
    bias: Option<View>,
    out: View,
    d_out: usize,
) -> Vec<crate::plan::KernelCall> {
    let n = batch.n;
    let ids = batch.ids.expect("one-hot samples have tokens");
    let params = [n, shape.n_ctx, d_out, d_out, 0, shape.d_vocab];
    let mut calls = vec![call(Kernel::Embed, &[("SUM", 1)], &[ids, weight, out], &params)];
    if let Some(bias) = bias {
        // A bias is a product of width 0 with a bias.
        let product = Product {
            bias: Some(bias),
            accumulate: true,
            ..Product::default()
        };
        calls.push(product.call(weight.part(0, 0), weight.part(0, 0), out, [n, 0, d_out]));
    }
    calls
}

pub(super) fn backward(
    net: Weights<'_>,
    shape: &MlpShape,
    builder: &mut PlanBuilder,
    batch: Batch,
    saved: &Saved,
    cotangent: View,
) -> Vec<Site> {
    let n = batch.n;
    let widths = widths(shape);
    let mut sites = Vec::new();
    let mut dx = cotangent;
    for l in (0..widths.len()).rev() {
        let d_out = widths[l];
        let d_in = if l == 0 { shape.d_in() } else { widths[l - 1] };
        let weight = format!("layers.{l}.W");
        let bias = shape.bias.then(|| format!("layers.{l}.b"));
        let Some(a) = saved.inputs[l] else {
            sites.extend(one_hot_sites(net, shape, batch, dx, d_out, bias.as_deref()));
            break;
        };
        sites.push(net.linear(&weight, bias.as_deref(), (a, dx), (n, 1), (d_in, d_out)));
        if l == 0 && shape.input == MlpInput::Float {
            break;
        }
        let below = builder.buffer(Arena::Cotangents, format!("layers.{l}.d_in"), &[n, d_in]);
        let back = Product {
            transpose: true,
            ..Product::default()
        };
        let mut calls = vec![back.call(dx, net.view(&weight), below, [n, d_out, d_in])];
        if l > 0 {
            calls.extend(net.dropped(below, l - 1));
            calls.push(call(
                Kernel::ActivationBackward,
                &[("ACTIVATION", shape.activation.code())],
                &[saved.pre[l - 1], below],
                &[n * d_in],
            ));
        }
        builder.op(format!("layers.{l}.backward"), calls);
        dx = below;
        if l == 0 {
            sites.push(embedding_site(net, shape, batch, dx));
        }
    }
    sites
}

/// The table of embedded tokens: sample n's cotangents for position t lie side by side in row n.
fn embedding_site(net: Weights<'_>, shape: &MlpShape, batch: Batch, dx: View) -> Site {
    let (t, d) = (shape.n_ctx, shape.d_model);
    Site {
        name: "embed.W_E".into(),
        kind: SiteKind::Embedding,
        positions: t,
        d_in: 0,
        d_out: d,
        a: None,
        b: Strided {
            view: dx,
            stride_n: t * d,
            stride_t: d,
        },
        ids: batch.ids.map(|ids| (ids, 0)),
        weight: Some(net.place("embed.W_E")),
        bias: None,
    }
}

/// The first layer on one-hot tokens: every position looks up its own rows and shares one cotangent; its bias is a
/// table with one row that every sample looks up once.
fn one_hot_sites(
    net: Weights<'_>,
    shape: &MlpShape,
    batch: Batch,
    dx: View,
    d_out: usize,
    bias: Option<&str>,
) -> Vec<Site> {
    let b = Strided {
        view: dx,
        stride_n: d_out,
        stride_t: 0,
    };
    let table = Site {
        name: "layers.0.W".into(),
        kind: SiteKind::Embedding,
        positions: shape.n_ctx,
        d_in: 0,
        d_out,
        a: None,
        b,
        ids: batch.ids.map(|ids| (ids, shape.d_vocab)),
        weight: Some(net.place("layers.0.W")),
        bias: None,
    };
    let bias = bias.map(|bias| Site {
        name: bias.to_owned(),
        kind: SiteKind::Position,
        positions: 1,
        ids: None,
        weight: Some(net.place(bias)),
        ..table.clone()
    });
    [Some(table), bias].into_iter().flatten().collect()
}
