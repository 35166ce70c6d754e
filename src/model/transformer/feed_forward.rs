//! The MLP of a block.

use super::block::Pass;
use super::norm::{Normed, denormalise, normalise};
use crate::model::parts::Product;
use crate::plan::{Kernel, PlanBuilder, Site, View, call};

/// Captured activations of a block's MLP.
#[derive(Debug, Clone)]
pub(super) struct FeedForward {
    input: Normed,
    pre: View,
    hidden: View,
    queries: usize,
}

impl FeedForward {
    /// Activations at the last position, `[N, d_mlp]`: positions are outermost.
    pub fn neurons(&self) -> View {
        let slab = self.hidden.len() / self.queries;
        self.hidden.part(self.hidden.len() - slab, slab)
    }
}

impl Pass<'_> {
    /// Adds the MLP to the residual stream `middle` `[queries, N, d]`; returns the block's output.
    pub fn feed_forward(&self, builder: &mut PlanBuilder, middle: View) -> (FeedForward, View) {
        let (d, f, queries) = (self.shape.d_model, self.shape.d_mlp, self.queries);
        let rows = queries * self.n;
        let pre = self.saved(builder, "pre", &[queries, self.n, f]);
        let hidden = self.saved(builder, "hidden", &[queries, self.n, f]);
        let next = self.saved(builder, "next", &[queries, self.n, d]);
        let input = normalise(self.net, self.shape, builder, &self.name("ln2"), middle, rows);
        let with_bias = Product {
            bias: Some(self.weight("mlp.b_in")),
            ..Product::default()
        };
        let mut calls = vec![
            with_bias.call(input.out, self.weight("mlp.W_in"), pre, [rows, d, f]),
            call(
                Kernel::Activation,
                &[("ACTIVATION", self.shape.activation.code())],
                &[pre, hidden],
                &[rows * f],
            ),
        ];
        calls.extend(self.net.dropped(hidden, self.layer));
        builder.op(self.name("mlp.in"), calls);
        let with_both = Product {
            bias: Some(self.weight("mlp.b_out")),
            residual: Some(middle),
            ..Product::default()
        };
        builder.op(
            self.name("mlp.out"),
            vec![with_both.call(hidden, self.weight("mlp.W_out"), next, [rows, f, d])],
        );
        let saved = FeedForward {
            input,
            pre,
            hidden,
            queries,
        };
        (saved, next)
    }

    /// Adds its backward pass from the cotangent of the block's output; returns that of `middle`.
    pub fn feed_forward_backward(
        &self,
        builder: &mut PlanBuilder,
        saved: &FeedForward,
        dx: View,
        sites: &mut Vec<Site>,
    ) -> View {
        let (n, d, f, queries) = (self.n, self.shape.d_model, self.shape.d_mlp, self.queries);
        let d_pre = self.cotangent(builder, "d_pre", &[queries, n, f]);
        let d_input = self.cotangent(builder, "d_mlp_in", &[queries, n, d]);
        let back = Product {
            transpose: true,
            ..Product::default()
        };
        sites.push(self.site("mlp.W_out", Some("mlp.b_out"), (saved.hidden, dx), queries, (f, d)));
        let mut calls = vec![back.call(dx, self.weight("mlp.W_out"), d_pre, [queries * n, d, f])];
        calls.extend(self.net.dropped(d_pre, self.layer));
        calls.push(call(
            Kernel::ActivationBackward,
            &[("ACTIVATION", self.shape.activation.code())],
            &[saved.pre, d_pre],
            &[queries * n * f],
        ));
        builder.op(self.name("mlp.out.backward"), calls);
        let of_input = (saved.input.out, d_pre);
        sites.push(self.site("mlp.W_in", Some("mlp.b_in"), of_input, queries, (d, f)));
        let through = Product {
            residual: saved.input.norm.is_none().then_some(dx),
            ..back
        };
        builder.op(
            self.name("mlp.in.backward"),
            vec![through.call(d_pre, self.weight("mlp.W_in"), d_input, [queries * n, f, d])],
        );
        match saved.input.norm {
            None => d_input,
            Some(norm) => {
                let name = self.name("ln2");
                denormalise(
                    self.net,
                    builder,
                    &name,
                    norm,
                    d_input,
                    Some(dx),
                    (n, queries, d),
                    sites,
                )
            }
        }
    }
}
