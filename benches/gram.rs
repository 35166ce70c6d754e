//! The price of the structured Gram matrix: the nanda model, N = 1,024, f32.
//!
//! `structured` is kernel `gram_tile` on captured sites; `materialised` writes all per-sample gradients `[N, P]` and
//! multiplies them with faer, lower half only, on the same threads. Both start from the same captured passes.
//! FLOPs are counted as multiply-adds times two: structured 6,641 a pair of samples, materialised P = 226,688 (113-way
//! unembedding) a pair.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use gmatrix::backend::Executor;
use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::config::{Config, LossKind, Preset};
use gmatrix::data::{Samples, Source};
use gmatrix::loss::{Cotangent, losses};
use gmatrix::measure::{Request, per_sample_gradients};
use gmatrix::model::{ModelShape, Network, initial_weights};
use gmatrix::plan::{Arena, Plan, PlanBuilder, Segment, View, control};
use gmatrix::stats::columns;
use gmatrix::stats::gram::{self, Output};
use gmatrix::trainer::Experiment;

const N: usize = 1024;

struct Setup {
    experiment: Experiment,
    weights: Vec<f64>,
}

fn nanda() -> Setup {
    let config: Config = Preset::Nanda.config();
    let experiment = Experiment::new(&config).expect("preset nanda is a valid configuration");
    let weights = initial_weights(&experiment.shape, &config.model, 0);
    Setup { experiment, weights }
}

/// Passes over N samples in segment Step, their Gram statistics in segment Gram.
fn plan(shape: &ModelShape, output: Output) -> (Arc<Plan>, Samples, View) {
    let mut builder = PlanBuilder::new();
    let net = Network::new(&mut builder, shape);
    let scalars = builder.buffer(Arena::Scalars, "scalars", &[control::RATES + columns::FIXED.len()]);
    let mut samples = Samples::default();
    let batch = samples.batch(&mut builder, shape, Source::Train, 0..N);
    builder.segment(Segment::Step);
    builder.scope();
    let forward = net.forward(&mut builder, batch);
    let loss = builder.buffer(Arena::Scratch, "loss", &[N]);
    let cotangent = Cotangent::new(&mut builder, N, shape.classes());
    losses(&mut builder, LossKind::CrossEntropy, &forward, loss, Some(cotangent));
    let sites = net.backward(&mut builder, &forward, cotangent.logits);
    builder.segment(Segment::Gram);
    gram::add(
        &mut builder,
        &sites,
        cotangent.exponent,
        net.layout.len,
        scalars,
        output,
    );
    (
        Arc::new(builder.finish().expect("a small plan")),
        samples,
        net.parameters,
    )
}

fn executor(setup: &Setup, output: Output) -> CpuExecutor<f32> {
    let (plan, samples, parameters) = plan(&setup.experiment.shape, output);
    let mut executor = CpuExecutor::<f32>::new(plan, 1).expect("the CPU has every kernel");
    let View::Part { buffer, .. } = parameters else {
        unreachable!("a network's parameters are a buffer")
    };
    let weights = gmatrix::backend::Values::Numbers(setup.weights.clone());
    executor.upload(0, buffer, &weights).expect("the right length");
    for fill in &samples.fills {
        let (buffer, values) = fill.values(&setup.experiment.task.train).expect("enough samples");
        executor.upload(0, buffer, &values).expect("the right length");
    }
    executor.submit(&[Segment::Step]).expect("a pass");
    executor
}

fn benches(criterion: &mut Criterion) {
    let setup = nanda();
    let p = setup.weights.len();
    let mut group = criterion.benchmark_group("gram/nanda/N=1024/cpu-f32");
    group.throughput(Throughput::Elements((N * N) as u64));
    group.measurement_time(Duration::from_secs(5)).sample_size(20);
    for (name, output) in [
        ("structured_statistics", Output::Streamed),
        ("structured_spectra", Output::Spectra),
    ] {
        let mut executor = executor(&setup, output);
        group.bench_function(name, |b| {
            b.iter(|| executor.submit(black_box(&[Segment::Gram])).expect("launches"));
        });
    }
    group.sample_size(10);
    let request = Request {
        precision: gmatrix::backend::Precision::F32,
        loss: LossKind::CrossEntropy,
        properties: Vec::new(),
        group: None,
        spectrum: false,
        gram: true,
        grams: Vec::new(),
        probes: None,
    };
    let shape = &setup.experiment.shape;
    let rows: Vec<u32> = (0..N as u32).collect();
    let examples = setup.experiment.task.train.select(&rows);
    let mut gradients = vec![0.0f32; N * p];
    per_sample_gradients(shape, &setup.weights, &examples, &request, |sample, gradient| {
        let row = &mut gradients[sample * p..][..p];
        row.iter_mut().zip(gradient).for_each(|(to, from)| *to = *from as f32);
        Ok(())
    })
    .expect("gradients");
    let mut out = vec![0.0f32; N * N];
    let threads = rayon::current_num_threads();
    // The product alone, without the cost of making and storing the gradients: a lower bound for what it replaces.
    group.bench_function("materialised_product", |b| {
        b.iter(|| {
            let g = MatRef::from_row_major_slice(black_box(&gradients), N, p);
            triangular::matmul(
                MatMut::from_row_major_slice_mut(&mut out, N, N),
                BlockStructure::TriangularLower,
                Accum::Replace,
                g,
                BlockStructure::Rectangular,
                g.transpose(),
                BlockStructure::Rectangular,
                1.0,
                Par::rayon(threads),
            );
        });
    });
    group.finish();
}

criterion_group!(gram_benches, benches);
criterion_main!(gram_benches);
