//! The plan of a whole training step of preset nanda, from which performance takes its launches.

use gmatrix::config::{LossKind, OptimizerKind, Property};
use gmatrix::data::{Samples, Source, bands};
use gmatrix::loss::{Cotangent, losses, means};
use gmatrix::model::{Activation, ModelShape, Network, Norm, TransformerShape};
use gmatrix::optimizer::Update;
use gmatrix::plan::layout::OPTIMIZER_SUMS;
use gmatrix::plan::{Arena, Kernel, Plan, PlanBuilder, Segment, call, control};
use gmatrix::stats::{
    columns, gram, per_sample,
    properties::{Properties, Setting},
    reduce,
};

/// Training and test samples of 113 x 113 pairs at a fraction of 0.3.
pub const TRAIN: usize = 3830;
const TEST: usize = 113 * 113 - TRAIN;
/// Samples of the Gram subset.
const SUBSET: usize = 512;
/// Rows of the metrics ring.
const RING: usize = 64;

/// How often a segment runs, per step, with the default schedule.
pub fn per_step(segment: Segment) -> f64 {
    match segment {
        Segment::Evaluate => 0.1,
        Segment::Gram | Segment::Decompose | Segment::Measure => 0.02,
        _ => 1.0,
    }
}

fn shape() -> ModelShape {
    ModelShape::Transformer(TransformerShape {
        layers: 1,
        d_model: 128,
        heads: 4,
        d_mlp: 512,
        activation: Activation::Relu,
        norm: Norm::None,
        attention_biases: false,
        unembed_bias: false,
        attention_mix: 0.0,
        n_ctx: 3,
        d_vocab: 114,
        d_vocab_out: 113,
    })
}

/// The plan; `streamed` takes the Gram statistics of the whole training split, without a matrix.
pub fn plan(streamed: bool) -> Plan {
    let kind = LossKind::CrossEntropy;
    let list = [Property::TrainLoss, Property::TestLoss];
    let names = columns::names(&list.each_ref().map(ToString::to_string));
    let mut b = PlanBuilder::new();
    let mut samples = Samples::default();
    let shape = shape();
    let net = Network::new(&mut b, &shape);
    let classes = shape.classes();
    let scalars = b.buffer(Arena::Scalars, "scalars", &[control::RATES + names.len()]);
    let block = b.buffer(Arena::Control, "control", &[control::WORDS]);
    let settings = b.buffer(Arena::Settings, "settings", &[control::SETTINGS]);
    let history = b.buffer(Arena::Sums, "history", &[control::HISTORY, 2]);
    let ring = b.buffer(Arena::Ring, "ring", &[RING, names.len()]);
    let header = b.buffer(Arena::RingHeader, "header", &[RING, 2 + names.len().div_ceil(32)]);
    let row_columns = b.table("columns", names.iter().map(|(_, segment)| *segment as u32).collect());
    let update = Update::new(&mut b, &net, OptimizerKind::Adamw, scalars);
    let properties = {
        let setting = Setting {
            loss: kind,
            optimizer: OptimizerKind::Adamw,
            train: TRAIN,
            test: TEST,
            group: None,
        };
        Properties::new(&mut b, &mut samples, &net, &setting, &list).expect("losses need no files")
    };
    let advance = |b: &mut PlanBuilder, phase: u32| {
        let control = call(
            Kernel::Control,
            &[("PHASE", phase)],
            &[block, settings, scalars, history],
            &[],
        );
        b.op("control", vec![control]);
    };
    let pass = |b: &mut PlanBuilder, samples: &mut Samples, source, rows| {
        let batch = samples.batch(b, &shape, source, rows);
        let forward = net.forward(b, batch);
        let cotangent = Cotangent::new(b, batch.n, classes);
        let loss = b.buffer(Arena::Scratch, "loss", &[batch.n]);
        let losses = losses(b, kind, &forward, loss, Some(cotangent));
        (net.backward(b, &forward, cotangent.logits), cotangent.exponent, losses)
    };

    b.segment(Segment::Begin);
    advance(&mut b, 0);
    b.segment(Segment::Step);
    let (sites, exponent, of_batch) = pass(&mut b, &mut samples, Source::Train, 0..TRAIN);
    means(&mut b, of_batch, scalars.part(control::BATCH_LOSS, 2), TRAIN, false);
    let gradient = properties.step_gradient(&net);
    net.gradient(&mut b, &sites, exponent, gradient, TRAIN, false);
    let copy = b.buffer(Arena::Scratch, "gradient_again", &[net.layout.len]);
    reduce::dot(
        &mut b,
        "mean_square",
        gradient,
        copy,
        scalars.part(control::MEAN_SQUARE, 1),
    );
    advance(&mut b, 1);

    b.segment(Segment::Scalars);
    let norm = per_sample::norms(&mut b, &sites, exponent);
    per_sample::statistics(&mut b, norm, exponent, scalars);

    b.segment(Segment::Evaluate);
    for (source, n, first) in [(Source::Train, TRAIN, 0), (Source::Test, TEST, 2)] {
        for rows in bands(n) {
            b.scope();
            let batch = samples.batch(&mut b, &shape, source, rows.clone());
            let forward = net.forward(&mut b, batch);
            let loss = b.buffer(Arena::Scratch, "loss", &[batch.n]);
            let evaluated = losses(&mut b, kind, &forward, loss, None);
            let out = scalars.part(control::RATES + columns::TRAIN_LOSS + first, 2);
            means(&mut b, evaluated, out, n, rows.start > 0);
        }
    }

    b.segment(Segment::Gram);
    b.scope();
    let (output, n) = if streamed {
        (gram::Output::Streamed, TRAIN)
    } else {
        (gram::Output::Spectra, SUBSET)
    };
    let (sites, exponent, _) = pass(&mut b, &mut samples, Source::Gram, 0..n);
    gram::add(&mut b, &sites, exponent, net.layout.len, scalars, output);

    b.segment(Segment::Decompose);
    properties.before(&mut b, &net, &update, false);
    b.segment(Segment::Update);
    b.scope();
    update.add(&mut b, &net, gradient);
    b.segment(Segment::Measure);
    properties.after(&mut b, &net, &update);
    b.segment(Segment::End);
    let row = call(
        Kernel::Row,
        &[],
        &[scalars, row_columns, block, ring, header],
        &[names.len(), RING],
    );
    b.op("row", vec![row]);
    advance(&mut b, 2);
    assert_eq!(OPTIMIZER_SUMS, 7, "the sums of the optimiser's contract");
    b.finish().expect("a plan of this size")
}
