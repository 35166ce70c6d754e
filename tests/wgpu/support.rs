//! What the tests on wgpu share: a small experiment, the executors under test, and how far their columns are apart.

use std::sync::Arc;

use gmatrix::backend::Executor;
use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::wgpu::WgpuExecutor;
use gmatrix::config::{Layers, Preset};
use gmatrix::plan::Plan;
use gmatrix::record::MetricsRow;
use gmatrix::trainer::{Experiment, Trainer};

pub fn experiment(settings: &[&str]) -> Experiment {
    let small = [
        "task.p=11",
        "model.d_model=24",
        "model.heads=3",
        "model.d_mlp=40",
        "stats.gram_every=0",
        "stats.decompose_every=0",
        "stats.evaluate_every=5",
        "train.chunk=30",
    ];
    let layers = small
        .iter()
        .chain(settings)
        .fold(Layers::new(Preset::Quick), |layers, setting| {
            layers.set(setting).expect("a known key")
        });
    Experiment::new(&layers.build().expect("a valid configuration")).expect("an experiment")
}

pub type Make<'a> = &'a dyn Fn(Arc<Plan>, usize) -> Box<dyn Executor>;

pub const F64: Make = &|plan, runs| Box::new(CpuExecutor::<f64>::new(plan, runs).expect("the CPU runs everything"));
pub const F32: Make = &|plan, runs| Box::new(CpuExecutor::<f32>::new(plan, runs).expect("the CPU runs everything"));
pub const WGPU: Make = &|plan, runs| Box::new(WgpuExecutor::new(plan, runs).expect("every kernel is there"));

pub fn trainer(make: Make, experiments: &[Experiment]) -> Trainer {
    let program = experiments[0].program().expect("a plan");
    let executor = make(program.plan.clone(), experiments.len());
    let mut trainer = Trainer::new(program, executor, experiments.len());
    for (slot, experiment) in experiments.iter().enumerate() {
        trainer.fill(slot, slot as u32, experiment).expect("filled");
    }
    trainer
}

pub fn rows(make: Make, experiment: &Experiment, steps: u64) -> (Vec<String>, Vec<MetricsRow>) {
    let mut trainer = trainer(make, std::slice::from_ref(experiment));
    let rows = trainer.run_chunk(steps).expect("trained");
    assert_eq!(rows.len() as u64, steps);
    (trainer.columns().to_vec(), rows)
}

/// Largest difference of a column over all rows, as a share of its largest number; the same numbers must be null.
pub fn error(found: &[MetricsRow], expected: &[MetricsRow], column: usize) -> f64 {
    let largest = expected
        .iter()
        .map(|row| row.values[column].abs())
        .fold(1e-300, f64::max);
    found.iter().zip(expected).fold(0.0, |worst: f64, (found, expected)| {
        let (a, b) = (found.values[column], expected.values[column]);
        match (a.is_nan(), b.is_nan()) {
            (true, true) => worst,
            (false, false) => worst.max((a - b).abs() / largest),
            _ => f64::INFINITY,
        }
    })
}

/// Columns that count rounding errors, or are what is left when two numbers that f32 rounded are subtracted.
pub fn is_rounding(column: &str) -> bool {
    let counted = [".rank", ".negative_eigenvalues", ".erank_sigma"];
    let left = [
        "second.",
        "noise.",
        "ledger.second.",
        "ledger.noise.",
        "ledger.between.",
    ];
    counted.iter().any(|end| column.ends_with(end)) || left.iter().any(|start| column.starts_with(start))
}
