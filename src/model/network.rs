//! A network in a plan: its parameters and its passes by architecture.

use super::gradient::gradient;
use super::layout::Layout;
use super::parts::{Batch, Weights};
use super::shape::ModelShape;
use super::{mlp, transformer};
use crate::plan::{Arena, PlanBuilder, Site, View};

/// A network whose parameters lie in a buffer of a plan.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its shape.
    pub shape: ModelShape,
    /// Where each parameter lies.
    pub layout: Layout,
    /// The flat parameters `[P]`.
    pub parameters: View,
    attention_mix: Option<View>,
}

/// What a forward pass leaves behind.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The samples.
    pub batch: Batch,
    /// `[N, V]`
    pub logits: View,
    saved: Saved,
    dropout: Option<View>,
}

/// Captured activations, by architecture.
#[derive(Debug, Clone)]
enum Saved {
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
            attention_mix: None,
        }
    }

    /// The same network, whose patterns of attention are mixed with the uniform distribution over the visible positions,
    /// in every pass, by the share that `scalars` hold among their rates.
    #[must_use]
    pub fn with_attention_mix(mut self, scalars: View) -> Self {
        self.attention_mix = Some(scalars);
        self
    }

    /// Adds a forward pass to the current segment.
    pub fn forward(&self, builder: &mut PlanBuilder, batch: Batch) -> Forward {
        self.forward_with(builder, batch, None)
    }

    /// The same, with hidden activations dropped by the share in these scalars.
    pub fn forward_with(&self, builder: &mut PlanBuilder, batch: Batch, dropout: Option<View>) -> Forward {
        let weights = self.weights(dropout);
        let (logits, saved) = match &self.shape {
            ModelShape::Transformer(shape) => {
                let (logits, saved) = transformer::forward(weights, shape, builder, batch);
                (logits, Saved::Transformer(saved))
            }
            ModelShape::Mlp(shape) => {
                let (logits, saved) = mlp::forward(weights, shape, builder, batch);
                (logits, Saved::Mlp(saved))
            }
        };
        Forward {
            batch,
            logits,
            saved,
            dropout,
        }
    }

    /// The activations of every MLP's neurons at the last position, layer by layer: `[N, width]` each.
    pub fn hidden(&self, forward: &Forward) -> Vec<View> {
        match &forward.saved {
            Saved::Transformer(saved) => saved.hidden(),
            Saved::Mlp(saved) => saved.hidden(),
        }
    }

    /// Adds the backward pass from a cotangent of the logits `[N, V]`, and returns the sites of all parameters.
    pub fn backward(&self, builder: &mut PlanBuilder, forward: &Forward, cotangent: View) -> Vec<Site> {
        let (weights, batch) = (self.weights(forward.dropout), forward.batch);
        match (&self.shape, &forward.saved) {
            (ModelShape::Transformer(shape), Saved::Transformer(saved)) => {
                transformer::backward(weights, shape, builder, batch, saved, cotangent)
            }
            (ModelShape::Mlp(shape), Saved::Mlp(saved)) => {
                mlp::backward(weights, shape, builder, batch, saved, cotangent)
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
        gradient(builder, &self.layout, sites, exponent, out, divisor, accumulate);
    }

    fn weights(&self, dropout: Option<View>) -> Weights<'_> {
        Weights {
            dropout,
            attention_mix: self.attention_mix,
            layout: &self.layout,
            parameters: self.parameters,
        }
    }
}
