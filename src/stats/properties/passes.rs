//! The forward passes that properties need: which samples, and what is read off each.

use std::ops::Range;

use super::Setting;
use super::reading::{Read, Reader, elements};
use super::restricted::Restriction;
use crate::config::{Property, Split};
use crate::data::{Samples, Source, bands};
use crate::error::Result;
use crate::model::{Batch, Network};
use crate::plan::{Arena, PlanBuilder, View};

/// Samples that one forward pass serves, and the properties read off it.
#[derive(Debug)]
pub(super) struct Pass {
    pub source: Source,
    pub rows: Range<usize>,
    pub batch: Batch,
    pub readings: Vec<Reading>,
    /// Group elements of the samples and exponents of 0, where restricted losses need their logits.
    pub elements: Option<[View; 2]>,
}

#[derive(Debug)]
pub(super) struct Reading {
    pub property: usize,
    pub read: Read,
    /// Samples whose mean the property is.
    pub total: usize,
    /// Whether another pass has begun the property's sums.
    pub accumulate: bool,
    pub before: View,
    pub after: View,
}

/// The passes of properties.
pub(super) struct Passes {
    /// Each sample in no more of them than need be.
    pub passes: Vec<Pass>,
    /// The restricted losses, each with the place of its property.
    pub restricted: Vec<(usize, Restriction)>,
}

/// The passes that a list of properties needs.
pub(super) fn new(
    builder: &mut PlanBuilder,
    samples: &mut Samples,
    net: &Network,
    setting: &Setting<'_>,
    list: &[Property],
) -> Result<Passes> {
    let classes = net.shape.classes();
    let mut passes: Vec<Pass> = Vec::new();
    let mut restricted = Vec::new();
    for (place, property) in list.iter().enumerate() {
        let Some(reader) = Reader::new(builder, samples, setting, property, classes)? else {
            continue;
        };
        let (parts, total) = parts(property, setting);
        for (number, (source, rows)) in parts.into_iter().enumerate() {
            let found = passes
                .iter()
                .position(|pass| pass.source == source && pass.rows == rows);
            let pass = found.unwrap_or_else(|| {
                passes.push(Pass {
                    source,
                    rows: rows.clone(),
                    batch: samples.batch(builder, &net.shape, source, rows.clone()),
                    readings: Vec::new(),
                    elements: None,
                });
                passes.len() - 1
            });
            if let Reader::Restricted(restriction) = &reader
                && passes[pass].elements.is_none()
            {
                let unscaled = builder.table("unscaled", vec![0; rows.len()]);
                let elements = elements(builder, samples, &restriction.group, source, rows.clone());
                passes[pass].elements = Some([elements, unscaled]);
            }
            let Some(read) = reader.at(builder, samples, source, rows.clone(), classes) else {
                continue;
            };
            let mut value = |name| builder.buffer(Arena::Values, format!("{property}.{name}"), &[rows.len()]);
            passes[pass].readings.push(Reading {
                property: place,
                read,
                total,
                accumulate: number > 0,
                before: value("before"),
                after: value("after"),
            });
        }
        if let Reader::Restricted(restriction) = reader {
            restricted.push((place, restriction));
        }
    }
    Ok(Passes { passes, restricted })
}

/// The samples whose logits a property is about, in bands, and what their sum is divided by.
fn parts(property: &Property, setting: &Setting<'_>) -> (Vec<(Source, Range<usize>)>, usize) {
    let source = |split: Split| match split {
        Split::Train => Source::Train,
        Split::Test => Source::Test,
    };
    let whole = |split: Split| -> Vec<_> {
        let n = setting.samples(split);
        bands(n).map(|rows| (source(split), rows)).collect()
    };
    match property {
        Property::Logit { split, index, .. }
        | Property::Prob { split, index, .. }
        | Property::LogOdds { split, index } => (vec![(source(*split), *index..index + 1)], 1),
        Property::MeanLogOdds { split } => (whole(*split), setting.samples(*split)),
        Property::TrainLoss | Property::Loss => (whole(Split::Train), setting.train),
        Property::TestLoss => (whole(Split::Test), setting.test),
        Property::Linear { split, .. } => (whole(*split), 1),
        Property::Fourier { .. } | Property::RestrictedLoss { .. } => {
            ([whole(Split::Train), whole(Split::Test)].concat(), 1)
        }
        Property::HalfNorm2 => (Vec::new(), 1),
    }
}
