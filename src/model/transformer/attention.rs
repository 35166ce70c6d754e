//! The attention of a block. K and V share their input and therefore one matrix (and one bias).

use super::block::Pass;
use super::norm::{Normed, denormalise, normalise};
use crate::model::parts::Product;
use crate::plan::{Kernel, KernelCall, PlanBuilder, Site, View, call};

/// Captured activations of a block's attention.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// Input of Q, K and V.
    input: Normed,
    q: View,
    kv: View,
    pattern: View,
    z: View,
}

impl Pass<'_> {
    /// Adds attention to the residual stream x `[T, N, d]`; returns the stream between attention and MLP
    /// `[queries, N, d]`.
    pub fn attend(&self, builder: &mut PlanBuilder, x: View) -> (Attention, View) {
        let (n, t, d, queries) = (self.n, self.shape.n_ctx, self.shape.d_model, self.queries);
        let heads = self.shape.heads;
        let q = self.saved(builder, "q", &[queries, n, d]);
        let kv = self.saved(builder, "kv", &[t, n, 2 * d]);
        let pattern = self.saved(builder, "pattern", &[n, heads, queries, t]);
        let z = self.saved(builder, "z", &[queries, n, d]);
        let middle = self.saved(builder, "middle", &[queries, n, d]);

        let product = |bias: &str| Product {
            bias: self.shape.attention_biases.then(|| self.weight(bias)),
            ..Product::default()
        };
        let input = normalise(self.net, self.shape, builder, &self.name("ln1"), x, t * n);
        let asked = self.slab(input.out);
        builder.op(
            self.name("attn.q"),
            vec![product("attn.b_Q").call(asked, self.weight("attn.W_Q"), q, [queries * n, d, d])],
        );
        builder.op(
            self.name("attn.kv"),
            vec![product("attn.b_KV").call(input.out, self.weight("attn.W_KV"), kv, [t * n, d, 2 * d])],
        );
        builder.op(
            self.name("attn"),
            vec![self.mixed(Kernel::Attention, &[q, kv], &[pattern, z])],
        );
        let onto = Product {
            residual: Some(self.slab(x)),
            ..product("attn.b_O")
        };
        builder.op(
            self.name("attn.out"),
            vec![onto.call(z, self.weight("attn.W_O"), middle, [queries * n, d, d])],
        );
        let saved = Attention {
            input,
            q,
            kv,
            pattern,
            z,
        };
        (saved, middle)
    }

    /// A call of one of attention's kernels, which take the rates where patterns are mixed.
    fn mixed(&self, kernel: Kernel, inputs: &[View], outputs: &[View]) -> KernelCall {
        let mix = self.net.attention_mix;
        let bindings: Vec<View> = inputs
            .iter()
            .copied()
            .chain(mix)
            .chain(outputs.iter().copied())
            .collect();
        let (shape, heads) = (self.shape, self.shape.heads);
        call(
            kernel,
            &[("MIXED", u32::from(mix.is_some()))],
            &bindings,
            &[self.n, shape.n_ctx, self.queries, heads, shape.d_model / heads],
        )
    }

    /// Adds its backward pass from the cotangent of the stream behind it; returns that of x.
    pub fn attend_backward(
        &self,
        builder: &mut PlanBuilder,
        saved: &Attention,
        d_middle: View,
        sites: &mut Vec<Site>,
    ) -> View {
        let (n, t, d, queries) = (self.n, self.shape.n_ctx, self.shape.d_model, self.queries);
        let dz = self.cotangent(builder, "d_z", &[queries, n, d]);
        let dq = self.cotangent(builder, "d_q", &[queries, n, d]);
        let dkv = self.cotangent(builder, "d_kv", &[t, n, 2 * d]);
        let d_input = self.cotangent(builder, "d_attention_in", &[t, n, d]);
        let back = Product {
            transpose: true,
            ..Product::default()
        };
        let bias = |name: &'static str| self.shape.attention_biases.then_some(name);
        sites.push(self.site("attn.W_O", bias("attn.b_O"), (saved.z, d_middle), queries, (d, d)));
        builder.op(
            self.name("attn.out.backward"),
            vec![back.call(d_middle, self.weight("attn.W_O"), dz, [queries * n, d, d])],
        );
        builder.op(
            self.name("attn.backward"),
            vec![self.mixed(
                Kernel::AttentionBackward,
                &[dz, saved.pattern, saved.q, saved.kv],
                &[dq, dkv],
            )],
        );
        let asked = self.slab(saved.input.out);
        sites.push(self.site("attn.W_Q", bias("attn.b_Q"), (asked, dq), queries, (d, d)));
        sites.push(self.site("attn.W_KV", bias("attn.b_KV"), (saved.input.out, dkv), t, (d, 2 * d)));
        let onto = Product {
            accumulate: true,
            residual: saved.input.norm.is_none().then_some(d_middle),
            ..back
        };
        let d_asked = self.slab(d_input);
        builder.op(
            self.name("attn.in.backward"),
            vec![
                back.call(dkv, self.weight("attn.W_KV"), d_input, [t * n, 2 * d, d]),
                onto.call(dq, self.weight("attn.W_Q"), d_asked, [queries * n, d, d]),
            ],
        );
        let Some(norm) = saved.input.norm else {
            return d_input;
        };
        let name = self.name("ln1");
        let dx = denormalise(self.net, builder, &name, norm, d_input, None, (n, t, d), sites);
        builder.op(
            self.name("residual.backward"),
            vec![call(Kernel::Add, &[], &[d_middle, self.slab(dx)], &[d_middle.len()])],
        );
        dx
    }
}
