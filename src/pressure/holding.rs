//! Holding a norm: after the update the weights are rescaled to a multiple of the norm they began with; with a multiple of
//! 0.8 and no decay, that is the constrained training of Omnigrok (2210.01117).
//!
//! What rescaling does to a property is the product of its gradient before the step with what rescaling changed; it is
//! booked as decay.

use super::{ends, region_dots, scale};
use crate::config::{OptimizerConfig, Regions};
use crate::model::Network;
use crate::plan::{Arena, Kernel, PlanBuilder, View, call};
use crate::stats::reduce;

/// The holding of the norm: the weights are rescaled after the update.
#[derive(Debug, Clone, Copy)]
pub struct Holding {
    /// What rescaling changed, `[P]`.
    pub held: View,
    /// |theta after - theta before|^2 of the whole step, `[1]`.
    pub distance: View,
    /// The weights before the update, `[P]`.
    before: View,
    ends: View,
    /// Squared norms that are held, by region.
    target: View,
}

impl Holding {
    /// Buffers, where the configuration asks for it.
    pub fn new(builder: &mut PlanBuilder, net: &Network, config: &OptimizerConfig) -> Option<Self> {
        if config.hold_norm == Regions::None {
            return None;
        }
        let len = net.layout.len;
        let ends = ends(builder, net, config.hold_norm);
        Some(Self {
            held: builder.buffer(Arena::Gradients, "held", &[len]),
            distance: builder.buffer(Arena::Scalars, "update_distance", &[1]),
            before: builder.buffer(Arena::Gradients, "theta_before", &[len]),
            ends,
            target: builder.buffer(Arena::Sums, "held_square", &[ends.len()]),
        })
    }

    /// Adds the copy of the weights before the update.
    pub fn keep(&self, builder: &mut PlanBuilder, theta: View) {
        let len = theta.len();
        builder.op(
            "hold.keep",
            vec![call(Kernel::Copy, &[], &[theta, self.before], &[len])],
        );
    }

    /// Adds the rescaling after the update.
    pub fn add(&self, builder: &mut PlanBuilder, theta: View, scalars: View) {
        let (len, regions) = (theta.len(), self.ends.len());
        let mut wide = |name| builder.buffer(Arena::WideScratch, name, &[regions]);
        let [before, after, factor, excess] =
            ["hold.before", "hold.after", "hold.factor", "hold.excess"].map(&mut wide);
        region_dots(builder, "hold.before", [self.before, self.before], self.ends, before);
        region_dots(builder, "hold.after", [theta, theta], self.ends, after);
        let partial = reduce::partial(builder, len, 1);
        builder.op(
            "hold",
            vec![
                call(
                    Kernel::HoldNorm,
                    &[],
                    &[before, after, scalars, self.target, factor, excess],
                    &[regions],
                ),
                call(Kernel::Copy, &[], &[theta, self.held], &[len]),
                scale(self.held, excess, self.ends),
                scale(theta, factor, self.ends),
                call(Kernel::Distance, &[], &[theta, self.before, partial], &[len]),
                reduce::sum_rows(partial, self.distance),
            ],
        );
    }
}
