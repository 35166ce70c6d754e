//! A network in a plan that measures given weights, and trains nothing.

use crate::backend::{Executor, Values};
use crate::error::Result;
use crate::measure::id;
use crate::model::{ModelShape, Network};
use crate::plan::{Arena, PlanBuilder, View, control};

/// A network with what its passes read beside samples and weights.
#[derive(Debug)]
pub(crate) struct Given {
    /// The network.
    pub net: Network,
    /// Rates, where attention is mixed.
    rates: Option<View>,
}

impl Given {
    /// A network whose attention is mixed with the uniform distribution by the share that its shape says.
    pub fn new(builder: &mut PlanBuilder, shape: &ModelShape) -> Self {
        let net = Network::new(builder, shape);
        if shape.attention_mix() == 0.0 {
            return Self { net, rates: None };
        }
        let rates = builder.buffer(Arena::Scalars, "rates", &[control::RATES]);
        Self {
            net: net.with_attention_mix(rates),
            rates: Some(rates),
        }
    }

    /// Uploads the weights, and that share.
    ///
    /// # Errors
    /// A device error, or if there is not one weight for each parameter.
    pub fn upload(&self, executor: &mut dyn Executor, weights: &[f64]) -> Result<()> {
        executor.upload(0, id(self.net.parameters), &Values::Numbers(weights.to_vec()))?;
        let Some(view) = self.rates else { return Ok(()) };
        let mut rates = vec![0.0; control::RATES];
        rates[control::ATTENTION_MIX] = self.net.shape.attention_mix();
        executor.upload(0, id(view), &Values::Numbers(rates))
    }
}
