//! The transformer's passes. Activations are `[T, N, d]`, positions outermost, so that the last position, the only one
//! whose logits count, is a contiguous slab: from the last block's queries on, everything is computed there alone.

mod attention;
mod block;
mod feed_forward;
mod norm;

use super::parts::{Batch, Product, Weights, rows};
use super::shape::TransformerShape;
use crate::plan::{Arena, Kernel, PlanBuilder, Site, SiteKind, View, call};
use block::{Block, Pass};
use norm::{Normed, denormalise, normalise};

/// Captured activations of a pass.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    blocks: Vec<Block>,
    last: Normed,
}

impl Saved {
    /// Activations of every block's MLP at the last position, `[N, d_mlp]`.
    pub fn hidden(&self) -> Vec<View> {
        self.blocks.iter().map(Block::neurons).collect()
    }
}

/// Adds a forward pass; returns the logits `[N, V]` and what the backward pass needs.
pub(super) fn forward(
    net: Weights<'_>,
    shape: &TransformerShape,
    builder: &mut PlanBuilder,
    batch: Batch,
) -> (View, Saved) {
    let (n, t, d) = (batch.n, shape.n_ctx, shape.d_model);
    let ids = batch.ids.expect("a transformer's samples have tokens");
    let mut x = builder.buffer(Arena::Activations, "residual.0", &[t, n, d]);
    builder.op(
        "embed",
        vec![call(
            Kernel::Embed,
            &[("POSITION", 1)],
            &[ids, net.view("embed.W_E"), net.view("pos_embed.W_pos"), x],
            &[n, t, d, d, n * d, 0],
        )],
    );
    let mut blocks = Vec::new();
    for l in 0..shape.layers {
        let (block, next) = Pass::of_block(net, shape, n, l).forward(builder, x);
        blocks.push(block);
        x = next;
    }
    let last = normalise(net, shape, builder, "ln_final", x, n);
    let classes = shape.d_vocab_out;
    let logits = builder.buffer(Arena::Scratch, "logits", &[n, classes]);
    let plain = Product {
        bias: shape.unembed_bias.then(|| net.view("unembed.b_U")),
        ..Product::default()
    };
    let unembed = plain.call(last.out, net.view("unembed.W_U"), logits, [n, d, classes]);
    builder.op("unembed", vec![unembed]);
    (logits, Saved { blocks, last })
}

/// Adds the backward pass from a cotangent of the logits; returns the sites of all parameters.
pub(super) fn backward(
    net: Weights<'_>,
    shape: &TransformerShape,
    builder: &mut PlanBuilder,
    batch: Batch,
    saved: &Saved,
    cotangent: View,
) -> Vec<Site> {
    let (n, d, classes) = (batch.n, shape.d_model, shape.d_vocab_out);
    let mut sites = vec![net.linear(
        "unembed.W_U",
        shape.unembed_bias.then_some("unembed.b_U"),
        (saved.last.out, cotangent),
        (n, 1),
        (d, classes),
    )];
    let mut dx = builder.buffer(Arena::Cotangents, "d_final", &[n, d]);
    let back = Product {
        transpose: true,
        ..Product::default()
    };
    builder.op(
        "unembed.backward",
        vec![back.call(cotangent, net.view("unembed.W_U"), dx, [n, classes, d])],
    );
    if let Some(norm) = saved.last.norm {
        dx = denormalise(net, builder, "ln_final", norm, dx, None, (n, 1, d), &mut sites);
    }
    for l in (0..shape.layers).rev() {
        dx = Pass::of_block(net, shape, n, l).backward(builder, &saved.blocks[l], dx, &mut sites);
    }
    sites.extend(embedding_sites(net, shape, batch, dx));
    sites
}

/// The tables of tokens and of positions, which share the cotangent of their sum.
fn embedding_sites(net: Weights<'_>, shape: &TransformerShape, batch: Batch, dx: View) -> [Site; 2] {
    let tokens = Site {
        name: "embed.W_E".into(),
        kind: SiteKind::Embedding,
        positions: shape.n_ctx,
        d_in: 0,
        d_out: shape.d_model,
        a: None,
        b: rows(dx, batch.n, shape.d_model),
        ids: batch.ids.map(|ids| (ids, 0)),
        weight: Some(net.place("embed.W_E")),
        bias: None,
    };
    let positions = Site {
        name: "pos_embed.W_pos".into(),
        kind: SiteKind::Position,
        ids: None,
        weight: Some(net.place("pos_embed.W_pos")),
        ..tokens.clone()
    };
    [tokens, positions]
}
