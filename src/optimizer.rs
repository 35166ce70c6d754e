//! Optimisers as ops: the update, and the numbers a slot's rates are made of.

use crate::config::{Config, OptimizerConfig, OptimizerKind};
use crate::model::{Layout, Network, TensorGroup};
use crate::plan::layout::OPTIMIZER_SUMS;
use crate::plan::{Arena, Kernel, PlanBuilder, View, call, control};
use crate::pressure::{Holding, Shaping};
use crate::stats::reduce;

impl OptimizerKind {
    /// Its number in kernels.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// Whether decay of earlier steps acts on through the moments: it is added to the gradient, and there is a moment.
    pub fn remembers_decay(self) -> bool {
        match self {
            Self::Momentum | Self::Nesterov | Self::Adam => true,
            Self::Sgd | Self::Adamw => false,
        }
    }
}

/// Buffers of the update.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Which rule.
    pub kind: OptimizerKind,
    /// m, v and the previous gradient, `[3, P]`; decay's own share of m as a fourth row where the rule remembers decay.
    pub moments: View,
    /// Rates, then the row.
    pub scalars: View,
    /// End and group of every tensor.
    pub spans: View,
    /// What the gradient goes through first, if anything.
    pub shaping: Option<Shaping>,
    /// What holds the norm of the weights, if anything.
    pub holding: Option<Holding>,
}

impl Update {
    /// Buffers of the update of a network.
    pub fn new(builder: &mut PlanBuilder, net: &Network, kind: OptimizerKind, scalars: View) -> Self {
        let rows = 3 + usize::from(kind.remembers_decay());
        Self {
            kind,
            moments: builder.buffer(Arena::Moments, "moments", &[rows, net.layout.len]),
            scalars,
            spans: builder.table("spans", spans(&net.layout)),
            shaping: None,
            holding: None,
        }
    }

    /// The constants of the kernels that know the rule.
    pub fn constants(&self) -> [(&'static str, u32); 2] {
        [
            ("OPTIMIZER", self.kind.code()),
            ("SHAPED", u32::from(self.shaping.is_some())),
        ]
    }

    /// Adds the update by `gradient`, and the columns that follow from it.
    pub fn add(&self, builder: &mut PlanBuilder, net: &Network, gradient: View) {
        let len = net.layout.len;
        let partial = reduce::partial(builder, len, OPTIMIZER_SUMS);
        let sums = builder.buffer(Arena::WideScratch, "update_sums", &[OPTIMIZER_SUMS]);
        let mut bindings = vec![net.parameters, gradient];
        bindings.extend(self.shaping.map(|shaping| shaping.taken()));
        bindings.extend([self.moments, self.scalars, self.spans, partial]);
        if let Some(holding) = self.holding {
            holding.keep(builder, net.parameters);
        }
        builder.op(
            "update",
            vec![
                call(
                    Kernel::Optimizer,
                    &self.constants(),
                    &bindings,
                    &[len, net.layout.tensors.len()],
                ),
                reduce::sum_rows(partial, sums),
            ],
        );
        let mut bindings = vec![sums];
        if let Some(holding) = self.holding {
            holding.add(builder, net.parameters, self.scalars);
            bindings.push(holding.distance);
        }
        bindings.push(self.scalars);
        let held = [("HELD", u32::from(self.holding.is_some()))];
        builder.op(
            "update.statistics",
            vec![call(Kernel::UpdateStatistics, &held, &bindings, &[])],
        );
    }
}

fn spans(layout: &Layout) -> Vec<u32> {
    let group = |group: TensorGroup| TensorGroup::ALL.iter().position(|g| *g == group).unwrap_or(0) as u32;
    layout
        .tensors
        .iter()
        .flat_map(|t| [(t.offset + t.len()) as u32, group(t.group)])
        .collect()
}

/// The settings of a slot, as `plan::control` lays them out.
pub fn settings(run: &Config) -> Vec<f64> {
    let config = &run.optimizer;
    let mut settings = vec![0.0; control::SETTINGS];
    for (place, number) in [
        (control::LR, &config.lr),
        (control::BETA1, &config.beta1),
        (control::BETA2, &config.beta2),
        (control::EPS, &config.eps),
        (control::CLIP, &config.clip),
        (control::FILTER_ALPHA, &config.filter_alpha),
        (control::FILTER_LAMBDA, &config.filter_lambda),
        (control::L1, &config.l1),
        (control::NOISE, &config.noise),
        (control::DROPOUT, &run.model.dropout),
        (control::HOLD_FACTOR, &config.hold_factor),
        (control::ATTENTION_MIX, &run.model.attention_mix),
    ] {
        number.write(&mut settings, place..place + 1);
    }
    write_decays(config, &mut settings);
    settings
}

/// Weight decays by group: runs of neighbours without one of their own share one schedule.
fn write_decays(config: &OptimizerConfig, settings: &mut [f64]) {
    let own = |group: &TensorGroup| config.weight_decay_groups.get(group);
    let mut first = control::DECAY;
    for groups in TensorGroup::ALL.chunk_by(|a, b| own(a).is_none() && own(b).is_none()) {
        let places = first..first + groups.len();
        first = places.end;
        own(&groups[0]).unwrap_or(&config.weight_decay).write(settings, places);
    }
}
