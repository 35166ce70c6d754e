//! The transformer's passes. Activations are `[T, N, d]`, positions outermost, so that the last position, the only one
//! whose logits count, is a contiguous slab: from the last block's queries on, everything is computed there alone.

use super::network::{Batch, Forward, Network, Product, Saved as AnySaved, rows};
use super::shape::{Norm, TransformerShape};
use crate::plan::{Arena, Kernel, PlanBuilder, Site, SiteKind, View, call};

/// Captured activations of a pass.
#[derive(Debug, Clone)]
pub struct Saved {
    blocks: Vec<Block>,
    last: Normed,
}

/// Captured activations of one block.
#[derive(Debug, Clone)]
struct Block {
    /// Input of Q, K and V.
    attention_in: Normed,
    q: View,
    kv: View,
    pattern: View,
    z: View,
    /// Input of the MLP.
    mlp_in: Normed,
    pre: View,
    hidden: View,
}

/// A residual stream as a block sees it, normalised or not.
#[derive(Debug, Clone, Copy)]
struct Normed {
    out: View,
    /// Normalised values and inverse standard deviations.
    norm: Option<(View, View)>,
}

pub(super) fn forward(net: &Network, shape: &TransformerShape, builder: &mut PlanBuilder, batch: Batch) -> Forward {
    let (n, t, d) = (batch.n, shape.n_ctx, shape.d_model);
    let ids = batch.ids.expect("a transformer's samples have tokens");
    let mut x = builder.buffer(Arena::Activations, "residual.0", &[t, n, d]);
    builder.op(
        "embed",
        vec![call(
            Kernel::Embed,
            &[("POSITION", 1)],
            &[ids, net.weight("embed.W_E"), net.weight("pos_embed.W_pos"), x],
            &[n, t, d, d, n * d, 0],
        )],
    );
    let mut blocks = Vec::new();
    for l in 0..shape.layers {
        let pass = Pass {
            net,
            shape,
            n,
            block: format!("blocks.{l}"),
            queries: if l + 1 == shape.layers { 1 } else { t },
        };
        let (block, next) = pass.forward(builder, x);
        blocks.push(block);
        x = next;
    }
    let last = normalise(net, shape, builder, "ln_final", x, n);
    let classes = shape.d_vocab_out;
    let logits = builder.buffer(Arena::Scratch, "logits", &[n, classes]);
    let unembed = Product::default().call(last.out, net.weight("unembed.W_U"), logits, [n, d, classes]);
    builder.op("unembed", vec![unembed]);
    Forward {
        batch,
        logits,
        saved: AnySaved::Transformer(Saved { blocks, last }),
    }
}

pub(super) fn backward(
    net: &Network,
    shape: &TransformerShape,
    builder: &mut PlanBuilder,
    forward: &Forward,
    saved: &Saved,
    cotangent: View,
) -> Vec<Site> {
    let (n, t, d, classes) = (forward.batch.n, shape.n_ctx, shape.d_model, shape.d_vocab_out);
    let mut sites = vec![linear(
        net,
        "unembed.W_U",
        None,
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
        vec![back.call(cotangent, net.weight("unembed.W_U"), dx, [n, classes, d])],
    );
    if let Some(norm) = saved.last.norm {
        dx = denormalise(net, builder, "ln_final", norm, dx, None, (n, 1, d), &mut sites);
    }
    for l in (0..shape.layers).rev() {
        let pass = Pass {
            net,
            shape,
            n,
            block: format!("blocks.{l}"),
            queries: if l + 1 == shape.layers { 1 } else { t },
        };
        dx = pass.backward(builder, &saved.blocks[l], dx, &mut sites);
    }
    let b = rows(dx, n, d);
    sites.push(Site {
        name: "embed.W_E".into(),
        kind: SiteKind::Embedding,
        positions: t,
        d_in: 0,
        d_out: d,
        a: None,
        b,
        ids: forward.batch.ids.map(|ids| (ids, 0)),
        weight: Some(net.place("embed.W_E")),
        bias: None,
    });
    sites.push(Site {
        name: "pos_embed.W_pos".into(),
        kind: SiteKind::Position,
        positions: t,
        d_in: 0,
        d_out: d,
        a: None,
        b,
        ids: None,
        weight: Some(net.place("pos_embed.W_pos")),
        bias: None,
    });
    sites
}

/// One block of one pass.
struct Pass<'a> {
    net: &'a Network,
    shape: &'a TransformerShape,
    n: usize,
    block: String,
    /// Positions from which queries are asked: the last block's last one, else all.
    queries: usize,
}

impl Pass<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.block)
    }

    fn weight(&self, name: &str) -> View {
        self.net.weight(&self.name(name))
    }

    /// The slab of the queries' positions.
    fn slab(&self, x: View) -> View {
        let len = self.queries * self.n * self.shape.d_model;
        x.part(x.len() - len, len)
    }

    fn forward(&self, builder: &mut PlanBuilder, x: View) -> (Block, View) {
        let Self { net, shape, n, .. } = *self;
        let (t, d, f, queries) = (shape.n_ctx, shape.d_model, shape.d_mlp, self.queries);
        let d_head = d / shape.heads;
        let mut saved = |name: &str, dims: &[usize]| {
            let name = self.name(name);
            builder.buffer(Arena::Activations, name, dims)
        };
        let q = saved("q", &[queries, n, d]);
        let kv = saved("kv", &[t, n, 2 * d]);
        let pattern = saved("pattern", &[n, shape.heads, queries, t]);
        let z = saved("z", &[queries, n, d]);
        let middle = saved("middle", &[queries, n, d]);
        let pre = saved("pre", &[queries, n, f]);
        let hidden = saved("hidden", &[queries, n, f]);
        let next = saved("next", &[queries, n, d]);

        let plain = Product::default();
        let attention_in = normalise(net, shape, builder, &self.name("ln1"), x, t * n);
        builder.op(
            self.name("attn.q"),
            vec![plain.call(
                self.slab(attention_in.out),
                self.weight("attn.W_Q"),
                q,
                [queries * n, d, d],
            )],
        );
        builder.op(
            self.name("attn.kv"),
            vec![plain.call(attention_in.out, self.weight("attn.W_KV"), kv, [t * n, d, 2 * d])],
        );
        builder.op(
            self.name("attn"),
            vec![call(
                Kernel::Attention,
                &[],
                &[q, kv, pattern, z],
                &[n, t, queries, shape.heads, d_head],
            )],
        );
        let residual = Product {
            residual: Some(self.slab(x)),
            ..plain
        };
        builder.op(
            self.name("attn.out"),
            vec![residual.call(z, self.weight("attn.W_O"), middle, [queries * n, d, d])],
        );
        let mlp_in = normalise(net, shape, builder, &self.name("ln2"), middle, queries * n);
        let with_bias = Product {
            bias: Some(self.weight("mlp.b_in")),
            ..plain
        };
        builder.op(
            self.name("mlp.in"),
            vec![
                with_bias.call(mlp_in.out, self.weight("mlp.W_in"), pre, [queries * n, d, f]),
                call(
                    Kernel::Activation,
                    &[("ACTIVATION", shape.activation.code())],
                    &[pre, hidden],
                    &[queries * n * f],
                ),
            ],
        );
        let with_both = Product {
            bias: Some(self.weight("mlp.b_out")),
            residual: Some(middle),
            ..plain
        };
        builder.op(
            self.name("mlp.out"),
            vec![with_both.call(hidden, self.weight("mlp.W_out"), next, [queries * n, f, d])],
        );
        let block = Block {
            attention_in,
            q,
            kv,
            pattern,
            z,
            mlp_in,
            pre,
            hidden,
        };
        (block, next)
    }

    fn backward(&self, builder: &mut PlanBuilder, saved: &Block, dx: View, sites: &mut Vec<Site>) -> View {
        let Self { net, shape, n, .. } = *self;
        let (t, d, f, queries) = (shape.n_ctx, shape.d_model, shape.d_mlp, self.queries);
        let asked = (n, queries);
        let mut cotangent = |name: &str, dims: &[usize]| {
            let name = self.name(name);
            builder.buffer(Arena::Cotangents, name, dims)
        };
        let d_pre = cotangent("d_pre", &[queries, n, f]);
        let d_mlp_in = cotangent("d_mlp_in", &[queries, n, d]);
        let dz = cotangent("d_z", &[queries, n, d]);
        let dq = cotangent("d_q", &[queries, n, d]);
        let dkv = cotangent("d_kv", &[t, n, 2 * d]);
        let d_attention_in = cotangent("d_attention_in", &[t, n, d]);
        let site = |weight: &str, bias: Option<&str>, a: View, b: View, of: (usize, usize), dims: (usize, usize)| {
            linear(
                net,
                &self.name(weight),
                bias.map(|b| self.name(b)).as_deref(),
                (a, b),
                of,
                dims,
            )
        };
        let back = Product {
            transpose: true,
            ..Product::default()
        };

        sites.push(site("mlp.W_out", Some("mlp.b_out"), saved.hidden, dx, asked, (f, d)));
        builder.op(
            self.name("mlp.out.backward"),
            vec![
                back.call(dx, self.weight("mlp.W_out"), d_pre, [queries * n, d, f]),
                call(
                    Kernel::ActivationBackward,
                    &[("ACTIVATION", shape.activation.code())],
                    &[saved.pre, d_pre],
                    &[queries * n * f],
                ),
            ],
        );
        sites.push(site(
            "mlp.W_in",
            Some("mlp.b_in"),
            saved.mlp_in.out,
            d_pre,
            asked,
            (d, f),
        ));
        let through = Product {
            residual: saved.mlp_in.norm.is_none().then_some(dx),
            ..back
        };
        builder.op(
            self.name("mlp.in.backward"),
            vec![through.call(d_pre, self.weight("mlp.W_in"), d_mlp_in, [queries * n, f, d])],
        );
        let d_middle = match saved.mlp_in.norm {
            Some(norm) => {
                let name = self.name("ln2");
                denormalise(net, builder, &name, norm, d_mlp_in, Some(dx), (n, queries, d), sites)
            }
            None => d_mlp_in,
        };
        sites.push(site("attn.W_O", None, saved.z, d_middle, asked, (d, d)));
        builder.op(
            self.name("attn.out.backward"),
            vec![back.call(d_middle, self.weight("attn.W_O"), dz, [queries * n, d, d])],
        );
        builder.op(
            self.name("attn.backward"),
            vec![call(
                Kernel::AttentionBackward,
                &[],
                &[dz, saved.pattern, saved.q, saved.kv, dq, dkv],
                &[n, t, queries, shape.heads, d / shape.heads],
            )],
        );
        sites.push(site(
            "attn.W_Q",
            None,
            self.slab(saved.attention_in.out),
            dq,
            asked,
            (d, d),
        ));
        sites.push(site("attn.W_KV", None, saved.attention_in.out, dkv, (n, t), (d, 2 * d)));
        let normed = saved.attention_in.norm;
        let onto = Product {
            accumulate: true,
            residual: normed.is_none().then_some(d_middle),
            ..back
        };
        builder.op(
            self.name("attn.in.backward"),
            vec![
                back.call(dkv, self.weight("attn.W_KV"), d_attention_in, [t * n, 2 * d, d]),
                onto.call(
                    dq,
                    self.weight("attn.W_Q"),
                    self.slab(d_attention_in),
                    [queries * n, d, d],
                ),
            ],
        );
        let Some(norm) = normed else {
            return d_attention_in;
        };
        let name = self.name("ln1");
        let out = denormalise(net, builder, &name, norm, d_attention_in, None, (n, t, d), sites);
        builder.op(
            self.name("residual.backward"),
            vec![call(Kernel::Add, &[], &[d_middle, self.slab(out)], &[d_middle.len()])],
        );
        out
    }
}

/// A linear site: a `[T, N, d_in]` and the cotangent b `[T, N, d_out]` of its output.
fn linear(
    net: &Network,
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
        weight: Some(net.place(weight)),
        bias: bias.map(|name| net.place(name)),
    }
}

/// Layer normalisation where the shape asks for it.
fn normalise(
    net: &Network,
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
    let (gain, shift) = (net.weight(&format!("{name}.w")), net.weight(&format!("{name}.b")));
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
fn denormalise(
    net: &Network,
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
        Some(net.weight(&format!("{name}.w"))),
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
