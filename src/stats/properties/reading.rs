//! What is read off the logits of a pass, sample by sample, and with which cotangent the gradient begins.

use std::path::Path;
use std::sync::Arc;

use super::Setting;
use super::restricted::Restriction;
use crate::config::{LossKind, Property, Split};
use crate::data::{Part, Samples, Source};
use crate::error::{Error, Result};
use crate::loss::{Cotangent, losses};
use crate::model::Forward;
use crate::plan::{Arena, Kernel, PlanBuilder, View, call};
use crate::task::Cyclic;
use crate::tensor_file::{TensorFile, read_bytes};

/// How a property is had from the logits of a sample.
#[derive(Debug, Clone)]
pub(super) enum Reader {
    /// Its loss.
    Loss,
    /// Kernel `property` with this constant and class.
    Softmax { code: u32, class: usize },
    /// The same table of coefficients for all passes, `[order + 1, V]`, with a row for each element of a group.
    ByElement { coefficients: View, group: Arc<Cyclic> },
    /// Coefficients `[N, V]` of the samples of a split.
    BySample(Vec<f64>),
    /// The loss of other logits, which are made of those of all samples.
    Restricted(Restriction),
}

impl Reader {
    /// The reader of a property that is a function of logits; none of others.
    pub fn new(
        builder: &mut PlanBuilder,
        samples: &mut Samples,
        setting: &Setting<'_>,
        property: &Property,
        classes: usize,
    ) -> Result<Option<Self>> {
        Ok(Some(match property {
            Property::HalfNorm2 => return Ok(None),
            Property::TrainLoss | Property::TestLoss | Property::Loss => Self::Loss,
            Property::Logit { class, .. } => Self::Softmax { code: 0, class: *class },
            Property::Prob { class, .. } => Self::Softmax { code: 1, class: *class },
            Property::LogOdds { .. } | Property::MeanLogOdds { .. } => Self::Softmax { code: 2, class: 0 },
            Property::Fourier { frequency } => {
                let group = setting.group(property, classes)?;
                let table = fourier(&group, *frequency, classes);
                let coefficients = builder.buffer(Arena::Inputs, property.to_string(), &[group.order() + 1, classes]);
                samples.fill(coefficients, Source::Train, 0..0, Part::Numbers(table));
                Self::ByElement { coefficients, group }
            }
            Property::RestrictedLoss { frequencies } => {
                let group = setting.group(property, classes)?;
                Self::Restricted(Restriction::new(builder, samples, group, frequencies, classes))
            }
            Property::Linear { split, file, tensor } => {
                let n = setting.samples(*split);
                Self::BySample(coefficients(file, tensor, *split, [n, classes])?)
            }
        }))
    }
}

/// A property's values at the samples of a pass.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    Loss,
    Softmax {
        code: u32,
        class: usize,
    },
    /// Kernel `read_out`: each sample's row of coefficients.
    Linear {
        coefficients: View,
        rows: View,
    },
}

impl Reader {
    /// The reader at some samples of a source; none where it reads no sample by itself.
    pub fn at(
        &self,
        builder: &mut PlanBuilder,
        samples: &mut Samples,
        source: Source,
        rows: std::ops::Range<usize>,
        classes: usize,
    ) -> Option<Read> {
        Some(match self {
            Self::Loss => Read::Loss,
            Self::Softmax { code, class } => Read::Softmax {
                code: *code,
                class: *class,
            },
            Self::ByElement { coefficients, group } => Read::Linear {
                coefficients: *coefficients,
                rows: elements(builder, samples, group, source, rows),
            },
            Self::BySample(all) => {
                let n = rows.len();
                let part = all[rows.start * classes..rows.end * classes].to_vec();
                let coefficients = builder.buffer(Arena::Inputs, "coefficients", &[n, classes]);
                samples.fill(coefficients, source, rows, Part::Numbers(part));
                let rows = builder.table("coefficients.rows", (0..n as u32).collect());
                Read::Linear { coefficients, rows }
            }
            Self::Restricted(_) => return None,
        })
    }
}

impl Read {
    /// Adds the values at all samples of a pass into `out`, and with `cotangent` the cotangents of their logits.
    pub fn add(
        self,
        builder: &mut PlanBuilder,
        label: String,
        kind: LossKind,
        forward: &Forward,
        out: View,
        cotangent: Option<Cotangent>,
    ) {
        let n = forward.batch.n;
        let classes = forward.logits.len() / n;
        let gradient = ("GRADIENT", u32::from(cotangent.is_some()));
        let with = |mut bindings: Vec<View>| {
            bindings.push(out);
            bindings.extend(cotangent.iter().flat_map(|c| [c.logits, c.exponent]));
            bindings
        };
        let one = match self {
            Self::Loss => {
                losses(builder, kind, forward, out, cotangent);
                return;
            }
            Self::Softmax { code, class } => call(
                Kernel::Property,
                &[("PROPERTY", code), gradient],
                &with(vec![forward.logits, forward.batch.labels]),
                &[n, classes, class],
            ),
            Self::Linear { coefficients, rows } => call(
                Kernel::ReadOut,
                &[gradient],
                &with(vec![forward.logits, rows, coefficients]),
                &[n, classes],
            ),
        };
        builder.op(label, vec![one]);
    }
}

/// The group elements of some samples, `[N]`.
pub(super) fn elements(
    builder: &mut PlanBuilder,
    samples: &mut Samples,
    group: &Arc<Cyclic>,
    source: Source,
    rows: std::ops::Range<usize>,
) -> View {
    let name = format!("{source:?}.elements.{}", rows.start).to_lowercase();
    let view = builder.buffer(Arena::Data, name, &[rows.len()]);
    samples.fill(view, source, rows, Part::Elements(group.clone()));
    view
}

/// cos(2 pi k (s - c)/n) of element s, in rows, and class c's element, of unit norm over all n^2 pairs and n classes;
/// a last row, of samples without an element, and columns of classes without one are 0.
fn fourier(group: &Cyclic, k: usize, classes: usize) -> Vec<f64> {
    let n = group.order();
    // Over the n classes the squared cosines sum to n/2, or to n where all are 1.
    let per_sample = if 2 * k == n { n as f64 } else { n as f64 / 2.0 };
    let norm = (per_sample * (n * n) as f64).sqrt();
    let mut table = vec![0.0; (n + 1) * classes];
    for (s, row) in table.chunks_exact_mut(classes).enumerate().take(n) {
        for (class, to) in row.iter_mut().enumerate() {
            if let Some(c) = group.of_class(class) {
                *to = cosine(k * (s + n - c), n) / norm;
            }
        }
    }
    table
}

/// cos(2 pi i/n), of i reduced, so that its argument is small.
pub(super) fn cosine(i: usize, n: usize) -> f64 {
    (std::f64::consts::TAU * (i % n) as f64 / n as f64).cos()
}

/// The tensor of a `linear` property.
fn coefficients(file: &str, tensor: &str, split: Split, [n, classes]: [usize; 2]) -> Result<Vec<f64>> {
    let path = Path::new(file);
    let bytes = read_bytes(path)?;
    let file = TensorFile::parse(path, &bytes)?;
    let shape: [usize; 2] = file.dims(tensor, "[N, V]")?;
    if shape != [n, classes] {
        return Err(Error::io(
            path,
            format!(
                "{tensor} has shape {shape:?}, expected [{n}, {classes}], the samples of the {split} split and the classes"
            ),
        ));
    }
    file.floats(tensor)
}
