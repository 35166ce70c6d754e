//! Training steps on the CPU in f32: bare, and with each group of columns, for presets quick and nanda.
//!
//! A full-batch nanda step counts 6.37 GFLOP (forward and backward at the positions whose values count).

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::config::{Config, Preset};
use gmatrix::trainer::{Experiment, Trainer};

/// A configuration in which only these groups are due, at every step.
fn only(preset: Preset, group: Option<&str>) -> Config {
    let mut config = preset.config();
    let every = |name: &str| u32::from(group == Some(name)).into();
    config.stats.scalars_every = every("scalars");
    config.stats.evaluate_every = every("evaluate");
    config.stats.gram_every = every("gram");
    config.stats.decompose_every = every("decompose");
    config.train.steps = u32::MAX;
    config.train.stop = gmatrix::config::Stop::Never;
    config
}

fn benches(criterion: &mut Criterion) {
    for preset in [Preset::Quick, Preset::Nanda] {
        let mut group = criterion.benchmark_group(format!("step/{preset}/cpu-f32"));
        group.measurement_time(Duration::from_secs(5)).sample_size(20);
        let groups = ["scalars", "evaluate", "gram", "decompose"].map(Some);
        for name in std::iter::once(None).chain(groups) {
            let experiment = Experiment::new(&only(preset, name)).expect("a valid configuration");
            let program = experiment.program().expect("a plan");
            let executor = CpuExecutor::<f32>::new(program.plan.clone(), 1).expect("the CPU has every kernel");
            let mut trainer = Trainer::new(program, Box::new(executor), 1);
            trainer.fill(0, 0, &experiment).expect("the same shape");
            group.bench_function(name.map_or("bare".to_owned(), |name| format!("with_{name}")), |b| {
                b.iter(|| black_box(trainer.run_chunk(1).expect("a step")));
            });
        }
        group.finish();
    }
}

criterion_group!(step_benches, benches);
criterion_main!(step_benches);
