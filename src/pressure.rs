//! What stands between the step's mean gradient and the optimiser: clipping.
//!
//! The optimiser then takes a *shaped* gradient. Three rows of it are kept, since the parts of an update are told apart
//! by them: what is taken; what of it the step's own gradient gives now; and what the mean gradient over the whole
//! training split would give now, through the same factors.

use crate::config::OptimizerConfig;
use crate::model::Network;
use crate::plan::{Arena, Kernel, KernelCall, PlanBuilder, View, call};
use crate::stats::reduce;

/// Buffers of the shaped gradient.
#[derive(Debug, Clone, Copy)]
pub struct Shaping {
    /// `[3, P]`: taken, now, full.
    pub rows: View,
    /// The factor of the clipping, `[1]`.
    clip: View,
    /// Where the one region of all parameters ends.
    end: View,
    len: usize,
}

impl Shaping {
    /// Buffers, where the configuration asks for a shaped gradient.
    pub fn new(builder: &mut PlanBuilder, net: &Network, config: &OptimizerConfig) -> Option<Self> {
        let len = net.layout.len;
        (config.clip > 0.0).then(|| Self {
            rows: builder.buffer(Arena::Gradients, "shaped", &[3, len]),
            clip: builder.buffer(Arena::Scalars, "clip_factor", &[1]),
            end: builder.table("parameters_end", vec![len as u32]),
            len,
        })
    }

    fn row(&self, place: usize) -> View {
        self.rows.part(place * self.len, self.len)
    }

    /// What the optimiser takes, `[P]`.
    pub fn taken(&self) -> View {
        self.row(0)
    }

    /// Adds the shaping of the step's mean gradient; `scalars` holds the step's rates.
    pub fn add(&self, builder: &mut PlanBuilder, gradient: View, scalars: View) {
        let (taken, now) = (self.row(0), self.row(1));
        builder.op("shape", vec![self.copy(gradient, taken), self.copy(gradient, now)]);
        let square = builder.buffer(Arena::WideScratch, "shaped_square", &[1]);
        reduce::dot(builder, "shaped.square", taken, taken, square);
        builder.op(
            "clip",
            vec![
                call(Kernel::Clip, &[], &[square, scalars, self.clip], &[]),
                self.clipped(taken),
                self.clipped(now),
            ],
        );
    }

    /// Adds what a mean gradient over the whole split would give now; returns its row.
    pub fn add_full(&self, builder: &mut PlanBuilder, gradient: View) -> usize {
        let full = self.row(2);
        builder.op("shape.full", vec![self.copy(gradient, full), self.clipped(full)]);
        2
    }

    fn copy(&self, from: View, to: View) -> KernelCall {
        call(Kernel::Copy, &[], &[from, to], &[self.len])
    }

    fn clipped(&self, x: View) -> KernelCall {
        call(Kernel::Scale, &[], &[x, self.clip, self.end], &[self.len, 1])
    }
}
