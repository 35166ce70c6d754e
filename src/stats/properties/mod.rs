//! Properties of the network: their gradients before the update, their values after it, ntcov, and the ledger.

mod passes;
mod reading;
mod restricted;
mod setting;

use super::reduce;
use crate::config::{LossKind, Property};
use crate::data::Samples;
use crate::error::Result;
use crate::loss::Cotangent;
use crate::model::Network;
use crate::optimizer::Update;
use crate::plan::layout::{LEDGER_WIDTH, update_parts};
use crate::plan::{Arena, Kernel, PlanBuilder, View, call};
use passes::{Pass, Passes};
use restricted::Restriction;

pub use setting::Setting;

/// The properties of a plan and the passes that evaluate them.
#[derive(Debug)]
pub struct Properties {
    list: Vec<Property>,
    kind: LossKind,
    passes: Vec<Pass>,
    /// Restricted losses with the places of their properties.
    restricted: Vec<(usize, Restriction)>,
    /// The step's gradient, then one row per property: `[1 + K, P]`.
    pub gradients: View,
    /// Values before the update: `[K]`
    pub values: View,
    /// `[K]`
    changes: View,
    /// `[K K + parts K]`: ntcov, then the parts of the coming update.
    pub products: View,
    ledger: View,
}

impl Properties {
    /// Buffers and samples of the properties.
    ///
    /// # Errors
    /// If a file with coefficients cannot be used, or a property needs the group of an operation that has none.
    pub fn new(
        builder: &mut PlanBuilder,
        samples: &mut Samples,
        net: &Network,
        setting: &Setting<'_>,
        list: &[Property],
    ) -> Result<Self> {
        let k = list.len();
        let parts = update_parts(setting.optimizer.remembers_decay());
        let Passes { passes, restricted } = passes::new(builder, samples, net, setting, list)?;
        Ok(Self {
            list: list.to_vec(),
            kind: setting.loss,
            passes,
            restricted,
            gradients: builder.buffer(Arena::Gradients, "gradients", &[1 + k, net.layout.len]),
            values: builder.buffer(Arena::Scalars, "property_values", &[k]),
            changes: builder.buffer(Arena::Scalars, "property_changes", &[k]),
            products: builder.buffer(Arena::Scalars, "property_products", &[k * k + parts * k]),
            ledger: builder.buffer(Arena::Sums, "ledger", &[k, LEDGER_WIDTH]),
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The step's mean gradient.
    pub fn step_gradient(&self, net: &Network) -> View {
        self.gradients.part(0, net.layout.len)
    }

    /// Adds gradients and values before the update, and their products with each other and with the update's parts. Where
    /// the step's gradient `deviates` from the split's, by a minibatch or by dropout, it is held against that of train_loss.
    pub fn before(&self, builder: &mut PlanBuilder, net: &Network, update: &Update, deviates: bool) {
        let p = net.layout.len;
        let gradient = |place: usize| self.gradients.part((1 + place) * p, p);
        self.restricted_before(builder, net);
        for (number, pass) in self.passes.iter().enumerate() {
            builder.scope();
            let forward = net.forward(builder, pass.batch);
            let n = pass.batch.n;
            for reading in &pass.readings {
                let cotangent = Cotangent::new(builder, n, net.shape.classes());
                let label = self.list[reading.property].to_string();
                reading
                    .read
                    .add(builder, label, self.kind, &forward, reading.before, Some(cotangent));
                let sites = net.backward(builder, &forward, cotangent.logits);
                let place = reading.property;
                let (total, more) = (reading.total, reading.accumulate);
                net.gradient(builder, &sites, cotangent.exponent, gradient(place), total, more);
                self.value(builder, place, reading.before, total, more);
            }
            let Some([elements, _]) = pass.elements else { continue };
            for (place, restriction) in &self.restricted {
                let cotangent = Cotangent::new(builder, n, net.shape.classes());
                restriction.cotangent(builder, self.kind, elements, cotangent);
                let sites = net.backward(builder, &forward, cotangent.logits);
                let more = self.passes[..number].iter().any(|pass| pass.elements.is_some());
                let total = restriction.pairs();
                net.gradient(builder, &sites, cotangent.exponent, gradient(*place), total, more);
            }
        }
        builder.scope();
        for (place, property) in self.list.iter().enumerate() {
            if *property == Property::HalfNorm2 {
                let partial = reduce::partial(builder, p, 1);
                builder.op(
                    property.to_string(),
                    vec![
                        call(Kernel::Copy, &[], &[net.parameters, gradient(place)], &[p]),
                        call(Kernel::HalfNormChange, &[], &[net.parameters, partial], &[p]),
                        reduce::sum_rows(partial, self.values.part(place, 1)),
                    ],
                );
            }
        }
        let full = self.list.iter().position(|x| *x == Property::TrainLoss);
        let full = if deviates { full.map_or(0, |place| place + 1) } else { 0 };
        builder.choose(
            "full gradient of the decomposition",
            match (deviates, full) {
                (false, _) => "the step's own: full batch, no noise part",
                (true, 0) => "absent: train_loss is no property, so noise is not told apart from selection",
                (true, _) => "that of property train_loss",
            },
        );
        let mut bindings = vec![self.gradients];
        let full = match update.shaping {
            Some(shaping) => {
                bindings.push(shaping.rows);
                shaping.add_full(builder, self.gradients.part(full * p, p))
            }
            None => full,
        };
        let partial = reduce::partial(builder, p, self.products.len());
        bindings.extend([net.parameters, update.moments, update.scalars, update.spans, partial]);
        builder.op(
            "decompose",
            vec![
                call(
                    Kernel::Decompose,
                    &update.constants(),
                    &bindings,
                    &[p, net.layout.tensors.len(), self.list.len(), full],
                ),
                reduce::sum_rows(partial, self.products),
            ],
        );
    }

    /// Adds values after the update, measured changes, and the ledger.
    pub fn after(&self, builder: &mut PlanBuilder, net: &Network, update: &Update) {
        for pass in &self.passes {
            builder.scope();
            let forward = net.forward(builder, pass.batch);
            for reading in &pass.readings {
                let label = self.list[reading.property].to_string();
                reading
                    .read
                    .add(builder, label, self.kind, &forward, reading.after, None);
                let (before, after) = (reading.before, reading.after);
                self.change(
                    builder,
                    reading.property,
                    before,
                    after,
                    reading.total,
                    reading.accumulate,
                );
            }
            self.collect(builder, pass, forward.logits);
        }
        for (place, restriction) in &self.restricted {
            builder.scope();
            restriction.losses(builder, self.kind, restriction.after, true, None);
            let (before, after) = (restriction.before, restriction.after);
            self.change(builder, *place, before, after, before.len(), false);
        }
        builder.scope();
        let p = net.layout.len;
        for (place, property) in self.list.iter().enumerate() {
            if *property == Property::HalfNorm2 {
                let partial = reduce::partial(builder, p, 1);
                let before = self.gradients.part((1 + place) * p, p);
                builder.op(
                    property.to_string(),
                    vec![
                        call(
                            Kernel::HalfNormChange,
                            &[("BEFORE", 1)],
                            &[before, net.parameters, partial],
                            &[p],
                        ),
                        reduce::sum_rows(partial, self.changes.part(place, 1)),
                    ],
                );
            }
        }
        let mut bindings = vec![self.products];
        if let Some(holding) = update.holding {
            let held = builder.buffer(Arena::WideScratch, "held_products", &[self.list.len()]);
            for place in 0..self.list.len() {
                let gradient = self.gradients.part((1 + place) * p, p);
                reduce::dot(builder, "held", gradient, holding.held, held.part(place, 1));
            }
            bindings.push(held);
        }
        bindings.extend([self.changes, self.values, self.ledger, update.scalars]);
        builder.op(
            "ledger",
            vec![call(
                Kernel::Ledger,
                &[
                    ("HELD", u32::from(update.holding.is_some())),
                    ("REMEMBERED", u32::from(update.kind.remembers_decay())),
                ],
                &bindings,
                &[self.list.len()],
            )],
        );
    }

    /// Adds the restricted logits, which are made of those of all samples, and their losses.
    fn restricted_before(&self, builder: &mut PlanBuilder, net: &Network) {
        for pass in self.passes.iter().filter(|pass| pass.elements.is_some()) {
            builder.scope();
            let forward = net.forward(builder, pass.batch);
            self.collect(builder, pass, forward.logits);
        }
        for (place, restriction) in &self.restricted {
            builder.scope();
            restriction.losses(builder, self.kind, restriction.before, true, None);
            self.value(builder, *place, restriction.before, restriction.before.len(), false);
        }
    }

    /// Adds a pass's logits to the sums of the restricted losses.
    fn collect(&self, builder: &mut PlanBuilder, pass: &Pass, logits: View) {
        let Some(elements) = pass.elements else { return };
        let first = self.passes.iter().find(|pass| pass.elements.is_some());
        let more = first.is_some_and(|first| !std::ptr::eq(first, pass));
        for (_, restriction) in &self.restricted {
            restriction.collect(builder, logits, elements, more);
        }
    }

    /// Adds the value of a property from its values at the samples of a pass.
    fn value(&self, builder: &mut PlanBuilder, place: usize, at: View, total: usize, more: bool) {
        builder.op(
            format!("{}.value", self.list[place]),
            vec![call(
                Kernel::Difference,
                &[("ACCUMULATE", u32::from(more))],
                &[at, self.values.part(place, 1)],
                &[at.len(), total],
            )],
        );
    }

    /// The same of its change.
    fn change(&self, builder: &mut PlanBuilder, place: usize, before: View, after: View, total: usize, more: bool) {
        builder.op(
            format!("{}.change", self.list[place]),
            vec![call(
                Kernel::Difference,
                &[("BEFORE", 1), ("ACCUMULATE", u32::from(more))],
                &[before, after, self.changes.part(place, 1)],
                &[after.len(), total],
            )],
        );
    }
}
