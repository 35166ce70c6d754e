//! Properties of the network: their gradients before the update, their values after it, ntcov, and the ledger.

use super::reduce;
use crate::config::{LossKind, Property, Split};
use crate::data::{Samples, Source, bands};
use crate::loss::{Cotangent, losses};
use crate::model::{Batch, Forward, Network};
use crate::optimizer::Update;
use crate::plan::layout::{LEDGER_WIDTH, UPDATE_PARTS};
use crate::plan::{Arena, Kernel, PlanBuilder, View, call};

/// The properties of a plan and the passes that evaluate them.
#[derive(Debug)]
pub struct Properties {
    list: Vec<Property>,
    kind: LossKind,
    passes: Vec<Pass>,
    /// The step's gradient, then one row per property: `[1 + K, P]`.
    pub gradients: View,
    /// `[K]`
    values: View,
    /// `[K]`
    changes: View,
    /// `[K K + 4 K]`: ntcov, then the parts of the coming update.
    pub products: View,
    ledger: View,
}

/// Samples that one forward pass serves, and the properties read off it.
#[derive(Debug)]
struct Pass {
    batch: Batch,
    readings: Vec<Reading>,
}

#[derive(Debug)]
struct Reading {
    property: usize,
    /// Samples whose mean the property is.
    total: usize,
    /// Whether another pass has begun the property's sums.
    accumulate: bool,
    before: View,
    after: View,
}

impl Properties {
    /// Buffers and samples of the properties; the splits have so many samples.
    pub fn new(
        builder: &mut PlanBuilder,
        samples: &mut Samples,
        net: &Network,
        kind: LossKind,
        list: &[Property],
        [n_train, n_test]: [usize; 2],
    ) -> Self {
        let k = list.len();
        let mut passes: Vec<(Source, std::ops::Range<usize>, Pass)> = Vec::new();
        for (place, property) in list.iter().enumerate() {
            let (split, rows): (Split, Vec<_>) = match *property {
                Property::HalfNorm2 => continue,
                Property::Logit { split, index, .. }
                | Property::Prob { split, index, .. }
                | Property::LogOdds { split, index } => (split, std::iter::once(index..index + 1).collect()),
                Property::MeanLogOdds { split } => (split, whole(split, n_train, n_test)),
                Property::TrainLoss | Property::Loss => (Split::Train, whole(Split::Train, n_train, n_test)),
                Property::TestLoss => (Split::Test, whole(Split::Test, n_train, n_test)),
            };
            let source = match split {
                Split::Train => Source::Train,
                Split::Test => Source::Test,
            };
            let total = rows.iter().map(ExactSizeIterator::len).sum();
            for (band, rows) in rows.into_iter().enumerate() {
                let mut value = |name| builder.buffer(Arena::Values, format!("{property}.{name}"), &[rows.len()]);
                let reading = Reading {
                    property: place,
                    total,
                    accumulate: band > 0,
                    before: value("before"),
                    after: value("after"),
                };
                match passes.iter_mut().find(|(s, r, _)| *s == source && *r == rows) {
                    Some((_, _, pass)) => pass.readings.push(reading),
                    None => {
                        let batch = samples.batch(builder, &net.shape, source, rows.clone());
                        let readings = vec![reading];
                        passes.push((source, rows, Pass { batch, readings }));
                    }
                }
            }
        }
        Self {
            list: list.to_vec(),
            kind,
            passes: passes.into_iter().map(|(_, _, pass)| pass).collect(),
            gradients: builder.buffer(Arena::Gradients, "gradients", &[1 + k, net.layout.len]),
            values: builder.buffer(Arena::Scalars, "property_values", &[k]),
            changes: builder.buffer(Arena::Scalars, "property_changes", &[k]),
            products: builder.buffer(Arena::Scalars, "property_products", &[k * k + UPDATE_PARTS * k]),
            ledger: builder.buffer(Arena::Sums, "ledger", &[k, LEDGER_WIDTH]),
        }
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
        for pass in &self.passes {
            builder.scope();
            let forward = net.forward(builder, pass.batch);
            for reading in &pass.readings {
                let n = pass.batch.n;
                let cotangent = Cotangent::new(builder, n, net.shape.classes());
                self.read(builder, reading, &forward, reading.before, Some(cotangent));
                let sites = net.backward(builder, &forward, cotangent.logits);
                let place = reading.property;
                let (total, more) = (reading.total, reading.accumulate);
                net.gradient(builder, &sites, cotangent.exponent, gradient(place), total, more);
                builder.op(
                    format!("{}.value", self.list[place]),
                    vec![call(
                        Kernel::Difference,
                        &[("ACCUMULATE", u32::from(more))],
                        &[reading.before, self.values.part(place, 1)],
                        &[n, total],
                    )],
                );
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
                self.read(builder, reading, &forward, reading.after, None);
                builder.op(
                    format!("{}.change", self.list[reading.property]),
                    vec![call(
                        Kernel::Difference,
                        &[("BEFORE", 1), ("ACCUMULATE", u32::from(reading.accumulate))],
                        &[reading.before, reading.after, self.changes.part(reading.property, 1)],
                        &[pass.batch.n, reading.total],
                    )],
                );
            }
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
                &[("HELD", u32::from(update.holding.is_some()))],
                &bindings,
                &[self.list.len()],
            )],
        );
    }

    /// Adds the property's values at the samples of a pass.
    fn read(
        &self,
        builder: &mut PlanBuilder,
        reading: &Reading,
        forward: &Forward,
        out: View,
        cotangent: Option<Cotangent>,
    ) {
        let property = self.list[reading.property];
        let (code, class) = match property {
            Property::Logit { class, .. } => (0, class),
            Property::Prob { class, .. } => (1, class),
            Property::LogOdds { .. } | Property::MeanLogOdds { .. } => (2, 0),
            Property::TrainLoss | Property::TestLoss | Property::Loss | Property::HalfNorm2 => {
                losses(builder, self.kind, forward, out, cotangent);
                return;
            }
        };
        let n = forward.batch.n;
        let mut bindings = vec![forward.logits, forward.batch.labels, out];
        if let Some(cotangent) = cotangent {
            bindings.extend([cotangent.logits, cotangent.exponent]);
        }
        builder.op(
            property.to_string(),
            vec![call(
                Kernel::Property,
                &[("PROPERTY", code), ("GRADIENT", u32::from(cotangent.is_some()))],
                &bindings,
                &[n, forward.logits.len() / n, class],
            )],
        );
    }
}

/// All samples of a split, in bands.
fn whole(split: Split, n_train: usize, n_test: usize) -> Vec<std::ops::Range<usize>> {
    bands(match split {
        Split::Train => n_train,
        Split::Test => n_test,
    })
    .collect()
}
