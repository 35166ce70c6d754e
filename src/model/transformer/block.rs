//! One block of a transformer: attention, then the MLP, each added to the residual stream.

use super::attention::Attention;
use super::feed_forward::FeedForward;
use crate::model::parts::Weights;
use crate::model::shape::TransformerShape;
use crate::plan::{Arena, PlanBuilder, Site, View};

/// Captured activations of one block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    attention: Attention,
    feed_forward: FeedForward,
}

impl Block {
    /// Activations of its MLP at the last position, `[N, d_mlp]`.
    pub fn neurons(&self) -> View {
        self.feed_forward.neurons()
    }
}

/// One block of one pass.
pub(super) struct Pass<'a> {
    pub net: Weights<'a>,
    pub shape: &'a TransformerShape,
    /// Samples.
    pub n: usize,
    /// Prefix of its parameters' names.
    block: String,
    /// Which block it is.
    pub layer: usize,
    /// Positions from which queries are asked: the last block's last one, else all.
    pub queries: usize,
}

impl<'a> Pass<'a> {
    /// Block `l` of a pass over `n` samples.
    pub fn of_block(net: Weights<'a>, shape: &'a TransformerShape, n: usize, l: usize) -> Self {
        Self {
            net,
            shape,
            n,
            block: format!("blocks.{l}"),
            layer: l,
            queries: if l + 1 == shape.layers { 1 } else { shape.n_ctx },
        }
    }

    /// Adds the block's forward pass from the residual stream x `[T, N, d]`; returns the next `[queries, N, d]`.
    pub fn forward(&self, builder: &mut PlanBuilder, x: View) -> (Block, View) {
        let (attention, middle) = self.attend(builder, x);
        let (feed_forward, next) = self.feed_forward(builder, middle);
        let block = Block {
            attention,
            feed_forward,
        };
        (block, next)
    }

    /// Adds the block's backward pass from the cotangent of its output; returns that of its input.
    pub fn backward(&self, builder: &mut PlanBuilder, saved: &Block, dx: View, sites: &mut Vec<Site>) -> View {
        let d_middle = self.feed_forward_backward(builder, &saved.feed_forward, dx, sites);
        self.attend_backward(builder, &saved.attention, d_middle, sites)
    }

    /// The full name of a parameter or op of this block.
    pub fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.block)
    }

    /// A parameter of this block.
    pub fn weight(&self, name: &str) -> View {
        self.net.view(&self.name(name))
    }

    /// The slab of the queries' positions.
    pub fn slab(&self, x: View) -> View {
        let len = self.queries * self.n * self.shape.d_model;
        x.part(x.len() - len, len)
    }

    /// A new buffer for activations of this block.
    pub fn saved(&self, builder: &mut PlanBuilder, name: &str, dims: &[usize]) -> View {
        builder.buffer(Arena::Activations, self.name(name), dims)
    }

    /// A new buffer for cotangents of this block.
    pub fn cotangent(&self, builder: &mut PlanBuilder, name: &str, dims: &[usize]) -> View {
        builder.buffer(Arena::Cotangents, self.name(name), dims)
    }

    /// A linear site of this block, seen at so many positions.
    pub fn site(
        &self,
        weight: &str,
        bias: Option<&str>,
        (a, b): (View, View),
        positions: usize,
        dims: (usize, usize),
    ) -> Site {
        let bias = bias.map(|bias| self.name(bias));
        self.net
            .linear(&self.name(weight), bias.as_deref(), (a, b), (self.n, positions), dims)
    }
}
