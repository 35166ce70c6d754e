//! All statistics of given weights on given data, without training: the samples are both batch and Gram subset.

mod gradients;

pub use gradients::{
    SampleGradient, gradient_sum_on, per_sample_gradients, per_sample_gradients_on, sample_gradients_on,
};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::{Executor, Make, Precision, Values, cpu_executor};
use crate::config::{FurtherGram, LossKind, OptimizerKind, Property, Split};
use crate::data::{Samples, Source};
use crate::error::{Error, Result};
use crate::given::Given;
use crate::loss::{Cotangent, losses, means};
use crate::model::ModelShape;
use crate::optimizer::Update;
use crate::plan::{Arena, BufferId, PlanBuilder, Segment, View, control};
use crate::stats::gram::{self, EXACT_LIMIT, Output};
use crate::stats::properties::{Properties, Setting};
use crate::stats::{columns, further, per_sample, reduce};
use crate::task::{Cyclic, Examples};

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Precision of all real numbers.
    pub precision: Precision,
    /// The loss of a sample.
    pub loss: LossKind,
    /// Properties between which ntcov is taken.
    pub properties: Vec<Property>,
    /// The group in which the operation of the task adds, for properties that are about its frequencies. The data must
    /// then be all pairs of its elements.
    pub group: Option<Arc<Cyclic>>,
    /// Whether spectra are solved however many samples there are; up to [`EXACT_LIMIT`] they always are.
    pub spectrum: bool,
    /// Whether the Gram matrix is wanted.
    pub gram: bool,
    /// Gram matrices beside the three forms.
    pub grams: Vec<FurtherGram>,
    /// Random probes, at least 2, where spectra are to be estimated and not solved.
    pub probes: Option<usize>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Every scalar under its column's name, with `loss` and `accuracy`; null (none) where it is not defined.
    pub scalars: BTreeMap<String, Option<f64>>,
    /// Names and the matrix of products of gradients, where properties were asked for.
    pub ntcov: Option<(Vec<String>, Vec<Vec<f64>>)>,
    /// Value of each property.
    pub values: Vec<f64>,
    /// Gram matrix `[N, N]`, row-major, where it was asked for.
    pub gram: Option<Vec<f64>>,
    /// Logits `[N, V]`.
    pub logits: Vec<f64>,
    /// Loss of every sample.
    pub losses: Vec<f64>,
    /// Mean gradient, in the order of the network's layout.
    pub mean_gradient: Vec<f64>,
    /// Choices of the planner.
    pub choices: Vec<(String, String)>,
}

/// Measures on the CPU.
///
/// # Errors
/// If there are no samples, a property names a sample or class that does not exist, or the examples do not fit.
pub fn measure(shape: &ModelShape, weights: &[f64], examples: &Examples, request: &Request) -> Result<Measurement> {
    measure_on(
        &|plan| cpu_executor(plan, request.precision),
        shape,
        weights,
        examples,
        request,
    )
}

/// Measures on any backend; the request's precision must be the executor's.
///
/// # Errors
/// As [`measure`], or a device error.
pub fn measure_on(
    make: Make,
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    request: &Request,
) -> Result<Measurement> {
    let n = examples.n;
    if n == 0 {
        return Err(Error::shape("the data hold no samples, expected at least 1"));
    }
    check_properties(request, examples, shape.classes())?;
    if request.grams.contains(&FurtherGram::Preconditioned) {
        return Err(Error::config(
            "preconditioned: weights alone have no moments, expected a run with stats.grams",
        ));
    }
    let mut builder = PlanBuilder::new();
    let given = Given::new(&mut builder, shape);
    let net = &given.net;
    let p = net.layout.len;
    let names: Vec<String> = request.properties.iter().map(ToString::to_string).collect();
    let width = columns::names(&names).len();
    let mut further_names = further::names(&request.grams, shape);
    let further_len = further_names.len();
    if request.probes.is_some() {
        further_names.extend(further::error_names(&request.grams, shape));
    }
    let scalars = builder.buffer(
        Arena::Scalars,
        "scalars",
        &[control::RATES + width + further_names.len()],
    );
    let logits = builder.buffer(Arena::Values, "logits.kept", &[n, shape.classes()]);
    let loss = builder.buffer(Arena::Values, "losses", &[n]);
    let mut samples = Samples::default();
    let kind = request.loss;
    let setting = Setting {
        loss: kind,
        optimizer: OptimizerKind::Sgd,
        train: n,
        test: 0,
        group: request.group.as_ref(),
    };
    let properties = Properties::new(&mut builder, &mut samples, net, &setting, &request.properties)?;
    let update = Update::new(&mut builder, net, OptimizerKind::Sgd, scalars);
    let batch = samples.batch(&mut builder, shape, Source::Train, 0..n);

    builder.segment(Segment::Gram);
    builder.scope();
    let forward = net.forward(&mut builder, batch);
    builder.op(
        "logits",
        vec![crate::plan::call(
            crate::plan::Kernel::Copy,
            &[],
            &[forward.logits, logits],
            &[logits.len()],
        )],
    );
    let cotangent = Cotangent::new(&mut builder, n, shape.classes());
    let values = losses(&mut builder, kind, &forward, loss, Some(cotangent));
    means(&mut builder, values, scalars.part(control::BATCH_LOSS, 2), n, false);
    let sites = net.backward(&mut builder, &forward, cotangent.logits);
    let gradient = properties.step_gradient(net);
    net.gradient(&mut builder, &sites, cotangent.exponent, gradient, n, false);
    let square = scalars.part(control::MEAN_SQUARE, 1);
    reduce::dot(&mut builder, "gradient.square", gradient, gradient, square);
    let norm = per_sample::norms(&mut builder, &sites, cotangent.exponent);
    per_sample::statistics(&mut builder, norm, cotangent.exponent, scalars);
    let further_columns = scalars.part(control::RATES + width, further_names.len());
    let output = match request.probes {
        Some(probes) => Output::Lanczos {
            probes,
            errors: further_columns.part(further_len, further_names.len() - further_len),
        },
        None if n <= EXACT_LIMIT || request.spectrum || request.gram => Output::Spectra,
        None => Output::Streamed,
    };
    let formed = gram::add(&mut builder, &sites, cotangent.exponent, p, scalars, output);
    let pass = further::Pass {
        splits: None,
        optimizer: None,
        loss: kind,
        net,
        forward: &forward,
        sites: &sites,
        planned: &formed.sites,
        exponent: cotangent.exponent,
        gram: formed.gram,
        output,
    };
    further::add(
        &mut builder,
        &request.grams,
        &pass,
        further_columns.part(0, further_len),
    );
    // Exponents and K lie in memory that later scopes reuse: both are read before the properties' segment runs.
    if !properties.is_empty() {
        builder.segment(Segment::Decompose);
        properties.before(&mut builder, net, &update, false);
    }
    let plan = Arc::new(builder.finish()?);

    let mut executor = make(plan.clone())?;
    given.upload(executor.as_mut(), weights)?;
    for fill in &samples.fills {
        let (buffer, values) = fill.values(examples)?;
        executor.upload(0, buffer, &values)?;
    }
    executor.submit(&[Segment::Gram])?;
    let gram = match formed.gram {
        Some(view) if request.gram => {
            let exponents = words(executor.as_mut(), cotangent.exponent)?;
            Some(unscaled(&numbers(executor.as_mut(), view)?, &exponents))
        }
        _ => None,
    };
    executor.submit(&[Segment::Decompose])?;

    let row = numbers(executor.as_mut(), scalars)?;
    let mean_gradient = numbers(executor.as_mut(), properties.gradients)?[..p].to_vec();
    let products = numbers(executor.as_mut(), properties.products)?;
    let values = numbers(executor.as_mut(), properties.values)?;
    let k = names.len();
    let ntcov = (k > 0).then(|| {
        let rows = products[..k * k].chunks_exact(k).map(<[f64]>::to_vec).collect();
        (names, rows)
    });
    let mut scalars = named_scalars(&row, weights);
    for (name, value) in further_names.into_iter().zip(&row[control::RATES + width..]) {
        scalars.insert(name, value.is_finite().then_some(*value));
    }
    Ok(Measurement {
        scalars,
        ntcov,
        values,
        gram,
        logits: numbers(executor.as_mut(), logits)?,
        losses: numbers(executor.as_mut(), loss)?,
        mean_gradient,
        choices: plan.choices.clone(),
    })
}

fn check_properties(request: &Request, examples: &Examples, classes: usize) -> Result<()> {
    let n = examples.n;
    for property in &request.properties {
        let refuse = |why: String| Err(Error::config(format!("property {property}: {why}")));
        if matches!(
            property,
            Property::MeanLogOdds { split: Split::Test }
                | Property::Linear { split: Split::Test, .. }
                | Property::TestLoss
        ) {
            return refuse("the given data have no test split".to_owned());
        }
        if let (Some(frequency), Some(group)) = (property.frequency(), &request.group) {
            let highest = group.order() / 2;
            if frequency > highest {
                return refuse(format!(
                    "frequency {frequency}, expected at most {highest}, half the order of the group"
                ));
            }
            group.check_complete(&[examples]).or_else(|e| refuse(e.to_string()))?;
        }
        match property.sample() {
            Some((Split::Test, _)) => return refuse("the given data have no test split".to_owned()),
            Some((Split::Train, index)) if index >= n => {
                return refuse(format!("index {index}, expected below {n}, the number of samples"));
            }
            _ => {}
        }
        if let Some(class) = property.class().filter(|class| *class >= classes) {
            return refuse(format!(
                "class {class}, expected below {classes}, the number of classes"
            ));
        }
    }
    Ok(())
}

fn named_scalars(row: &[f64], weights: &[f64]) -> BTreeMap<String, Option<f64>> {
    let measured = [Segment::Scalars, Segment::Gram];
    let mut scalars: BTreeMap<String, Option<f64>> = columns::FIXED
        .iter()
        .zip(&row[control::RATES..])
        .filter(|((_, segment), _)| measured.contains(segment))
        .map(|((name, _), value)| ((*name).to_owned(), value.is_finite().then_some(*value)))
        .collect();
    let weight_norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    for (name, value) in [
        ("loss", row[control::BATCH_LOSS]),
        ("accuracy", row[control::BATCH_LOSS + 1]),
        ("gradient_norm", row[control::MEAN_SQUARE].sqrt()),
        ("weight_norm", weight_norm),
    ] {
        scalars.insert(name.to_owned(), value.is_finite().then_some(value));
    }
    scalars
}

/// K freed of the samples' scales.
pub(crate) fn unscaled(gram: &[f64], exponents: &[u32]) -> Vec<f64> {
    let n = exponents.len();
    let scale: Vec<f64> = exponents.iter().map(|e| -f64::from(e.cast_signed())).collect();
    (0..n * n)
        .map(|k| gram[k] * (scale[k / n] + scale[k % n]).exp2())
        .collect()
}

pub(crate) fn id(view: View) -> BufferId {
    match view {
        View::Part { buffer, .. } => buffer,
        View::Whole(_) => unreachable!("buffer() makes parts"),
    }
}

pub(crate) fn numbers(executor: &mut dyn Executor, view: View) -> Result<Vec<f64>> {
    match executor.download(0, id(view))? {
        Values::Numbers(numbers) => Ok(numbers),
        Values::Words(_) => Err(Error::device("a buffer of numbers holds words")),
    }
}

pub(crate) fn words(executor: &mut dyn Executor, view: View) -> Result<Vec<u32>> {
    match executor.download(0, id(view))? {
        Values::Words(words) => Ok(words),
        Values::Numbers(_) => Err(Error::device("a buffer of words holds numbers")),
    }
}
