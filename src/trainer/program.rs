//! The plan of a training run: all segments of a step.

use std::ops::Range;
use std::sync::Arc;

use crate::config::{Batch as BatchSize, Config, FurtherGram, Property, Spectrum, Split};
use crate::data::{Fill, Samples, Source, bands};
use crate::error::{Error, Result};
use crate::loss::{Cotangent, Losses, losses, means};
use crate::model::{Batch, ModelShape, Network};
use crate::optimizer::Update;
use crate::plan::{Arena, BufferId, Kernel, Plan, PlanBuilder, Segment, View, call, control};
use crate::pressure::{Holding, Shaping};
use crate::stats::columns;
use crate::stats::gram::{self, EXACT_LIMIT, Output};
use crate::stats::properties::{Properties, Setting};
use crate::stats::{further, per_sample, reduce, stream};
use crate::task::{Cyclic, Task};

/// How many samples the parts of a run have; with the shape of the network and the configuration's choices, all that a
/// plan depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Training split.
    pub train: usize,
    /// Test split.
    pub test: usize,
    /// Gram subset.
    pub gram: usize,
    /// Samples of the test split beside it, where blocks are asked for.
    pub gram_test: usize,
}

/// A plan for training, and where the trainer finds what it writes and reads.
#[derive(Debug, Clone)]
pub struct Program {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What fills its constant sample buffers.
    pub fills: Vec<Fill>,
    /// Names of the columns of a row.
    pub columns: Vec<String>,
    /// Rows that the ring holds.
    pub capacity: usize,
    pub(super) parameters: BufferId,
    pub(super) settings: BufferId,
    pub(super) control: BufferId,
    pub(super) ring: BufferId,
    pub(super) header: BufferId,
}

/// Builds the plan of runs with this configuration and network.
///
/// # Errors
/// If a property is not known, or the plan is too large.
pub fn build(config: &Config, shape: &ModelShape, sizes: Sizes) -> Result<Program> {
    let properties: Vec<Property> = config
        .stats
        .properties
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_>>()?;
    let group = group(config, &properties)?;
    let mut names = columns::names(&config.stats.properties);
    let further = names.len();
    let of_gram = |name| (name, Segment::Gram);
    names.extend(further::names(&config.stats.grams, shape).into_iter().map(of_gram));
    let errors = names.len();
    if config.stats.spectrum == Spectrum::Lanczos && !config.stats.gram_every.is_never() {
        names.extend(
            further::error_names(&config.stats.grams, shape)
                .into_iter()
                .map(of_gram),
        );
    }
    let stream = names.len();
    if config.stats.stream > 0 {
        names.extend(stream::COLUMNS.map(|name| (name.to_owned(), Segment::Step)));
    }
    let mut builder = PlanBuilder::new();
    let net = Network::new(&mut builder, shape);
    let block = builder.buffer(Arena::Control, "control", &[control::WORDS]);
    let settings = builder.buffer(Arena::Settings, "settings", &[control::SETTINGS]);
    let scalars = builder.buffer(Arena::Scalars, "scalars", &[control::RATES + names.len()]);
    let net = if config.model.attention_mix.is_zero() {
        net
    } else {
        net.with_attention_mix(scalars)
    };
    let history = builder.buffer(Arena::Sums, "history", &[control::HISTORY, 2]);
    let mut samples = Samples::default();
    let properties = Properties::new(
        &mut builder,
        &mut samples,
        &net,
        &Setting {
            loss: config.loss.kind,
            optimizer: config.optimizer.kind,
            train: sizes.train,
            test: sizes.test,
            group: group.as_ref(),
        },
        &properties,
    )?;
    let update = Update {
        shaping: Shaping::new(&mut builder, &net, &config.optimizer),
        holding: Holding::new(&mut builder, &net, &config.optimizer),
        ..Update::new(&mut builder, &net, config.optimizer.kind, scalars)
    };
    let mut program = Builder {
        config,
        net: &net,
        sizes,
        scalars,
        control: [block, settings, scalars, history],
        builder,
        samples,
    };
    program.step(properties.step_gradient(&net), update.shaping, stream);
    program.evaluate();
    program.gram(further..errors, errors..stream, update.moments);
    let Builder {
        mut builder, samples, ..
    } = program;
    let decompose = !config.stats.decompose_every.is_never() && !properties.is_empty();
    if decompose {
        builder.segment(Segment::Decompose);
        let deviates = config.optimizer.batch != BatchSize::Full || !config.model.dropout.is_zero();
        properties.before(&mut builder, &net, &update, deviates);
    }
    builder.segment(Segment::Update);
    builder.scope();
    update.add(&mut builder, &net, properties.step_gradient(&net));
    if decompose {
        builder.segment(Segment::Measure);
        properties.after(&mut builder, &net, &update);
    }
    builder.segment(Segment::End);
    let capacity = config.train.chunk as usize;
    let [ring, header] = row(&mut builder, &names, scalars, block, capacity);
    builder.op("end", vec![phase(2, [block, settings, scalars, history])]);
    let plan = builder.finish()?;
    Ok(Program {
        plan: Arc::new(plan),
        fills: samples.fills,
        columns: names.into_iter().map(|(name, _)| name).collect(),
        capacity,
        parameters: id(net.parameters),
        settings: id(settings),
        control: id(block),
        ring: id(ring),
        header: id(header),
    })
}

/// The group in which the task's operation adds, where a property is about it.
fn group(config: &Config, properties: &[Property]) -> Result<Option<Arc<Cyclic>>> {
    for property in properties {
        if let Some(group) = property.group(config.task.op, config.task.p)? {
            return Ok(Some(Arc::new(group)));
        }
    }
    Ok(None)
}

fn id(view: View) -> BufferId {
    match view {
        View::Part { buffer, .. } => buffer,
        View::Whole(_) => unreachable!("buffer() makes parts"),
    }
}

fn phase(phase: u32, bindings: [View; 4]) -> crate::plan::KernelCall {
    call(Kernel::Control, &[("PHASE", phase)], &bindings, &[])
}

/// Adds the metrics row; returns the ring and its header.
fn row(
    builder: &mut PlanBuilder,
    names: &[(String, Segment)],
    scalars: View,
    block: View,
    capacity: usize,
) -> [View; 2] {
    let segments = names.iter().map(|(_, segment)| segment.index() as u32).collect();
    let segments = builder.table("columns", segments);
    let ring = builder.buffer(Arena::Ring, "ring", &[capacity, names.len()]);
    let header = builder.buffer(
        Arena::RingHeader,
        "ring_header",
        &[capacity, 2 + names.len().div_ceil(32)],
    );
    builder.op(
        "row",
        vec![call(
            Kernel::Row,
            &[],
            &[scalars, segments, block, ring, header],
            &[names.len(), capacity],
        )],
    );
    [ring, header]
}

struct Builder<'a> {
    config: &'a Config,
    net: &'a Network,
    sizes: Sizes,
    scalars: View,
    control: [View; 4],
    builder: PlanBuilder,
    samples: Samples,
}

impl Builder<'_> {
    fn column(&self, column: usize, len: usize) -> View {
        self.scalars.part(control::RATES + column, len)
    }

    /// Begin, Step and Scalars: what happens at every step before the update.
    fn step(&mut self, gradient: View, shaping: Option<Shaping>, stream: usize) {
        let kind = self.config.loss.kind;
        self.builder.segment(Segment::Begin);
        self.builder.op("begin", vec![phase(0, self.control)]);
        self.builder.segment(Segment::Step);
        self.builder.scope();
        let batch = self.batch();
        let n = batch.n;
        let builder = &mut self.builder;
        let dropout = (!self.config.model.dropout.is_zero()).then_some(self.scalars);
        let forward = self.net.forward_with(builder, batch, dropout);
        let loss = builder.buffer(Arena::Scratch, "loss", &[n]);
        let cotangent = Cotangent::new(builder, n, self.net.shape.classes());
        let values = losses(builder, kind, &forward, loss, Some(cotangent));
        means(builder, values, self.scalars.part(control::BATCH_LOSS, 2), n, false);
        let sites = self.net.backward(builder, &forward, cotangent.logits);
        self.net
            .gradient(builder, &sites, cotangent.exponent, gradient, n, false);
        let square = self.scalars.part(control::MEAN_SQUARE, 1);
        reduce::dot(builder, "gradient.square", gradient, gradient, square);
        builder.op("guard", vec![phase(1, self.control)]);
        if let Some(shaping) = shaping {
            shaping.add(builder, gradient, self.scalars);
        }
        let window = self.config.stats.stream as usize;
        if window > 0 {
            let state = stream::state(builder);
            let columns = self.scalars.part(control::RATES + stream, stream::COLUMNS.len());
            let batch = (&sites[..], cotangent.exponent);
            stream::add(builder, batch, self.scalars, state, columns, window);
        }
        if !self.config.stats.scalars_every.is_never() {
            builder.segment(Segment::Scalars);
            let norm = per_sample::norms(builder, &sites, cotangent.exponent);
            per_sample::statistics(builder, norm, cotangent.exponent, self.scalars);
        }
    }

    /// The step's batch: the whole split, or a minibatch gathered from it.
    fn batch(&mut self) -> Batch {
        let n_train = self.sizes.train;
        let builder = &mut self.builder;
        let all = self.samples.batch(builder, &self.net.shape, Source::Train, 0..n_train);
        let BatchSize::Size(n) = self.config.optimizer.batch else {
            return all;
        };
        let indices = builder.buffer(Arena::Words, "batch.indices", &[n]);
        builder.op(
            "batch",
            vec![call(Kernel::BatchIndices, &[], &[indices], &[n, n_train])],
        );
        let mut gather = |what: &str, source: View, planes: usize| {
            let out = builder.buffer(Arena::Words, format!("batch.{what}"), &[planes, n]);
            builder.op(
                format!("batch.{what}"),
                vec![call(
                    Kernel::GatherWords,
                    &[],
                    &[indices, source, out],
                    &[planes, n_train, n],
                )],
            );
            out
        };
        let ids = all.ids.map(|ids| gather("ids", ids, self.net.shape.n_ctx()));
        let labels = gather("labels", all.labels, 1);
        let inputs = all.inputs.map(|inputs| {
            let width = inputs.len() / n_train;
            let out = builder.buffer(Arena::Scratch, "batch.inputs", &[n, width]);
            builder.op(
                "batch.inputs",
                vec![call(Kernel::GatherReals, &[], &[indices, inputs, out], &[n, width])],
            );
            out
        });
        Batch { n, ids, inputs, labels }
    }

    /// Losses and accuracies of both splits.
    fn evaluate(&mut self) {
        if self.config.stats.evaluate_every.is_never() {
            return;
        }
        self.builder.segment(Segment::Evaluate);
        for (source, total, column) in [
            (Source::Train, self.sizes.train, columns::TRAIN_LOSS),
            (Source::Test, self.sizes.test, columns::TEST_LOSS),
        ] {
            let out = self.column(column, 2);
            for (band, rows) in bands(total).enumerate() {
                self.builder.scope();
                let builder = &mut self.builder;
                let batch = self.samples.batch(builder, &self.net.shape, source, rows);
                let forward = self.net.forward(builder, batch);
                let loss = builder.buffer(Arena::Scratch, "loss", &[batch.n]);
                let values: Losses = losses(builder, self.config.loss.kind, &forward, loss, None);
                means(builder, values, out, total, band > 0);
            }
        }
    }

    /// The Gram matrix of the fixed subset and what follows from it.
    fn gram(&mut self, further: Range<usize>, errors: Range<usize>, moments: View) {
        if self.config.stats.gram_every.is_never() {
            return;
        }
        let n = self.sizes.gram;
        let output = match self.config.stats.spectrum {
            Spectrum::Exact if n <= EXACT_LIMIT => Output::Spectra,
            Spectrum::Exact => {
                let why = format!("off: {n} samples, exact up to {EXACT_LIMIT}");
                self.builder.choose("spectrum", why);
                Output::Streamed
            }
            Spectrum::Lanczos => Output::Lanczos {
                probes: self.config.stats.probes,
                errors: self.column(errors.start, errors.len()),
            },
            Spectrum::Off => Output::Streamed,
        };
        self.builder.segment(Segment::Gram);
        self.builder.scope();
        let builder = &mut self.builder;
        let batch = self.samples.batch(builder, &self.net.shape, Source::Gram, 0..n);
        let forward = self.net.forward(builder, batch);
        let loss = builder.buffer(Arena::Scratch, "loss", &[n]);
        let cotangent = Cotangent::new(builder, n, self.net.shape.classes());
        losses(builder, self.config.loss.kind, &forward, loss, Some(cotangent));
        let sites = self.net.backward(builder, &forward, cotangent.logits);
        let formed = gram::add(
            builder,
            &sites,
            cotangent.exponent,
            self.net.layout.len,
            self.scalars,
            output,
        );
        let both = n + self.sizes.gram_test;
        let splits = self.config.stats.grams.contains(&FurtherGram::Block);
        let splits = splits.then(|| (self.samples.batch(builder, &self.net.shape, Source::Splits, 0..both), n));
        let pass = further::Pass {
            splits,
            optimizer: Some([moments, self.scalars]),
            loss: self.config.loss.kind,
            net: self.net,
            forward: &forward,
            sites: &sites,
            planned: &formed.sites,
            exponent: cotangent.exponent,
            gram: formed.gram,
            output,
        };
        let columns = self.scalars.part(control::RATES + further.start, further.len());
        further::add(builder, &self.config.stats.grams, &pass, columns);
    }
}

/// Refuses properties of samples or classes that the task does not have: those of a data file are not known before.
///
/// # Errors
/// [`crate::error::ErrorKind::Config`].
pub fn check_properties(config: &Config, task: &Task) -> Result<()> {
    for name in &config.stats.properties {
        let property: Property = name.parse()?;
        let refuse = |reason: String| Err(Error::config(format!("stats.properties: {name:?} has {reason}")));
        if let Some((split, index)) = property.sample() {
            let n = match split {
                Split::Train => task.train.n,
                Split::Test => task.test.n,
            };
            if index >= n {
                return refuse(format!(
                    "index {index}, expected below {n}, the size of the {split} split"
                ));
            }
        }
        if let Some(group) = property
            .group(config.task.op, config.task.p)
            .map_err(|e| Error::config(format!("stats.properties: {name:?}: {e}")))?
        {
            group
                .check_complete(&[&task.train, &task.test])
                .map_err(|e| Error::config(format!("stats.properties: {name:?}: {e}")))?;
        }
        let classes = task.d_vocab_out;
        if let Some(class) = property.class().filter(|class| *class >= classes) {
            return refuse(format!(
                "class {class}, expected below {classes}, the number of classes"
            ));
        }
    }
    Ok(())
}

/// Refuses a batch that the training split cannot fill.
///
/// # Errors
/// [`crate::error::ErrorKind::Config`].
pub fn check_batch(config: &Config, n_train: usize) -> Result<()> {
    match config.optimizer.batch {
        BatchSize::Size(n) if n > n_train => Err(Error::config(format!(
            "optimizer.batch = {n} is larger than the training split of {n_train} samples"
        ))),
        _ => Ok(()),
    }
}
