//! What stands between the step's mean gradient and the optimiser: in this order noise, a filter over steps (Grokfast), the
//! removal of what lies along the weights (perpGrad), and clipping.
//!
//! The optimiser then takes a *shaped* gradient. Three rows of it are kept, since the parts of an update are told apart
//! by them: what is taken; what of it the step's own gradient gives now; and what the mean gradient over the whole
//! training split would give now. All that is done is linear in the gradient given the factors of the step, which are
//! those of the gradient that is taken.

use super::{ends, region_dots, scale};
use crate::config::{GradientFilter, NoiseScale, OptimizerConfig, Regions};
use crate::model::Network;
use crate::plan::{Arena, Kernel, KernelCall, PlanBuilder, View, call};
use crate::stats::reduce;

/// Buffers of the shaped gradient.
#[derive(Debug, Clone, Copy)]
pub struct Shaping {
    /// `[3, P]`: taken, now, full.
    pub rows: View,
    /// Units of the noise, if there is any.
    noise: Option<NoiseScale>,
    filter: Option<Filter>,
    perpendicular: Option<Perpendicular>,
    /// The factor of the clipping, `[1]`.
    clip: Option<View>,
    /// The one region of all parameters.
    all: View,
    len: usize,
}

/// The filter over steps.
#[derive(Debug, Clone, Copy)]
struct Filter {
    kind: GradientFilter,
    window: usize,
    /// `[window, P]`
    memory: View,
    /// What of the filtered gradient is the step's own, `[1]`.
    share: View,
}

/// The removal of what lies along the weights.
#[derive(Debug, Clone, Copy)]
struct Perpendicular {
    theta: View,
    ends: View,
    /// Squared norms of the weights by region.
    square: View,
    /// Factors that bring the gradient back to its norm.
    restore: View,
}

impl Shaping {
    /// Buffers, where the configuration asks for a shaped gradient.
    pub fn new(builder: &mut PlanBuilder, net: &Network, config: &OptimizerConfig) -> Option<Self> {
        let len = net.layout.len;
        let filters = config.filter != GradientFilter::None;
        let projects = config.perpendicular != Regions::None;
        let clips = !config.clip.is_zero();
        let noise = (!config.noise.is_zero()).then_some(config.noise_scale);
        if !(filters || projects || clips || noise.is_some()) {
            return None;
        }
        let all = builder.table("region", vec![len as u32]);
        let filter = filters.then(|| {
            let window = match config.filter {
                GradientFilter::GrokfastMa => config.filter_window as usize,
                _ => 1,
            };
            Filter {
                kind: config.filter,
                window,
                memory: builder.buffer(Arena::Moments, "filter", &[window, len]),
                share: builder.buffer(Arena::Scalars, "filter_share", &[1]),
            }
        });
        let perpendicular = projects.then(|| {
            let ends = ends(builder, net, config.perpendicular);
            Perpendicular {
                theta: net.parameters,
                ends,
                square: builder.buffer(Arena::Scalars, "region_square", &[ends.len()]),
                restore: builder.buffer(Arena::Scalars, "region_restore", &[ends.len()]),
            }
        });
        Some(Self {
            rows: builder.buffer(Arena::Gradients, "shaped", &[3, len]),
            noise,
            filter,
            perpendicular,
            clip: clips.then(|| builder.buffer(Arena::Scalars, "clip_factor", &[1])),
            all,
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
        let mut calls = vec![self.copy(gradient, now)];
        calls.extend(self.noise.map(|scale| {
            let constants = [("RELATIVE", u32::from(scale == NoiseScale::Relative))];
            call(Kernel::GradientNoise, &constants, &[now, scalars], &[self.len])
        }));
        builder.op("shape.now", calls);
        match self.filter {
            None => builder.op("shape.taken", vec![self.copy(now, taken)]),
            Some(filter) => {
                let constants = filter.constants();
                builder.op(
                    "filter",
                    vec![
                        call(
                            Kernel::GradientFilter,
                            &constants,
                            &[now, filter.memory, scalars, taken],
                            &[self.len, filter.window],
                        ),
                        call(
                            Kernel::FilterShare,
                            &constants,
                            &[scalars, filter.share],
                            &[filter.window],
                        ),
                        scale(now, filter.share, self.all),
                    ],
                );
            }
        }
        if let Some(perpendicular) = self.perpendicular {
            perpendicular.prepare(builder);
            let [before, after] =
                ["before", "after"].map(|name| builder.buffer(Arena::WideScratch, name, &[perpendicular.ends.len()]));
            region_dots(
                builder,
                "perpendicular.before",
                [taken, taken],
                perpendicular.ends,
                before,
            );
            perpendicular.project(builder, taken);
            region_dots(
                builder,
                "perpendicular.after",
                [taken, taken],
                perpendicular.ends,
                after,
            );
            perpendicular.project(builder, now);
            builder.op(
                "perpendicular.restore",
                vec![
                    call(
                        Kernel::NormRatio,
                        &[],
                        &[before, after, perpendicular.restore],
                        &[before.len()],
                    ),
                    scale(taken, perpendicular.restore, perpendicular.ends),
                    scale(now, perpendicular.restore, perpendicular.ends),
                ],
            );
        }
        if let Some(clip) = self.clip {
            let square = builder.buffer(Arena::WideScratch, "shaped_square", &[1]);
            reduce::dot(builder, "shaped.square", taken, taken, square);
            builder.op(
                "clip",
                vec![
                    call(Kernel::Clip, &[], &[square, scalars, clip], &[]),
                    scale(taken, clip, self.all),
                    scale(now, clip, self.all),
                ],
            );
        }
    }

    /// Adds what a mean gradient over the whole split would give now, by the factors of the step; returns its row.
    pub fn add_full(&self, builder: &mut PlanBuilder, gradient: View) -> usize {
        let full = self.row(2);
        builder.op("shape.full", vec![self.copy(gradient, full)]);
        if let Some(filter) = self.filter {
            builder.op("filter.full", vec![scale(full, filter.share, self.all)]);
        }
        if let Some(perpendicular) = self.perpendicular {
            perpendicular.project(builder, full);
            builder.op(
                "perpendicular.full",
                vec![scale(full, perpendicular.restore, perpendicular.ends)],
            );
        }
        if let Some(clip) = self.clip {
            builder.op("clip.full", vec![scale(full, clip, self.all)]);
        }
        2
    }

    fn copy(&self, from: View, to: View) -> KernelCall {
        call(Kernel::Copy, &[], &[from, to], &[self.len])
    }
}

impl Filter {
    fn constants(&self) -> [(&'static str, u32); 1] {
        [("FILTER", u32::from(self.kind == GradientFilter::GrokfastMa))]
    }
}

impl Perpendicular {
    /// Adds the squared norms of the weights.
    fn prepare(&self, builder: &mut PlanBuilder) {
        region_dots(
            builder,
            "weights.square",
            [self.theta, self.theta],
            self.ends,
            self.square,
        );
    }

    /// Adds the removal of what lies along the weights.
    fn project(&self, builder: &mut PlanBuilder, x: View) {
        let along = builder.buffer(Arena::WideScratch, "along", &[self.ends.len()]);
        region_dots(builder, "along", [x, self.theta], self.ends, along);
        builder.op(
            "perpendicular",
            vec![call(
                Kernel::Perpendicular,
                &[],
                &[x, self.theta, along, self.square, self.ends],
                &[x.len(), self.ends.len()],
            )],
        );
    }
}
