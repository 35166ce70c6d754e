//! Whole recorded steps of a small transformer through the trainer, on the CPU and on wgpu.

use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::wgpu::WgpuExecutor;
use gmatrix::backend::{Executor, Values};
use gmatrix::config::{Layers, Preset};
use gmatrix::plan::{Arena, Plan, PlanBuilder, Segment};
use gmatrix::record::{EndReason, MetricsRow};
use gmatrix::trainer::{Experiment, Trainer};
use std::sync::Arc;

use super::cases::supported;

fn experiment(settings: &[&str]) -> Experiment {
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

type Make<'a> = &'a dyn Fn(Arc<Plan>, usize) -> Box<dyn Executor>;

const F64: Make = &|plan, runs| Box::new(CpuExecutor::<f64>::new(plan, runs).expect("the CPU runs everything"));
const F32: Make = &|plan, runs| Box::new(CpuExecutor::<f32>::new(plan, runs).expect("the CPU runs everything"));
const WGPU: Make = &|plan, runs| Box::new(WgpuExecutor::new(plan, runs).expect("every kernel is there"));

fn trainer(make: Make, experiments: &[Experiment]) -> Trainer {
    let program = experiments[0].program().expect("a plan");
    let executor = make(program.plan.clone(), experiments.len());
    let mut trainer = Trainer::new(program, executor, experiments.len());
    for (slot, experiment) in experiments.iter().enumerate() {
        trainer.fill(slot, slot as u32, experiment).expect("filled");
    }
    trainer
}

fn rows(make: Make, experiment: &Experiment, steps: u64) -> (Vec<String>, Vec<MetricsRow>) {
    let mut trainer = trainer(make, std::slice::from_ref(experiment));
    let rows = trainer.run_chunk(steps).expect("trained");
    assert_eq!(rows.len() as u64, steps);
    (trainer.columns().to_vec(), rows)
}

/// Largest difference of a column over all rows, as a share of its largest number; the same numbers must be null.
fn error(found: &[MetricsRow], expected: &[MetricsRow], column: usize) -> f64 {
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

/// Columns that are differences of nearly equal numbers, so that their un-cancelled parts bound their error.
const CANCELLING: [&str; 2] = ["coherence_unbiased", "noise_g2"];

#[test]
fn wgpu_trains_as_the_cpu_does() {
    if !supported() {
        return;
    }
    for settings in [
        &["loss.kind=mse", "model.activation=quadratic"][..],
        &["model.activation=gelu"],
        &["model.layers=2"],
        &[],
    ] {
        let experiment = experiment(settings);
        for (steps, floor) in [(1, 1e-5), (30, 1e-5)] {
            let (columns, exact) = rows(F64, &experiment, steps);
            let (_, single) = rows(F32, &experiment, steps);
            let (_, found) = rows(WGPU, &experiment, steps);
            let mut worst = (0.0, "");
            for (column, name) in columns.iter().enumerate() {
                let (own, of_cpu) = (error(&found, &exact, column), error(&single, &exact, column));
                let floor = if CANCELLING.contains(&name.as_str()) {
                    1e-3
                } else {
                    floor
                };
                // Rounding grows over steps by itself; ten times what f32 does to the CPU is still rounding.
                let bound = floor + 10.0 * of_cpu;
                assert!(
                    own <= bound,
                    "{settings:?} {steps} steps: {name} off by {own:e}, CPU in f32 by {of_cpu:e}"
                );
                if own > worst.0 {
                    worst = (own, name);
                }
            }
            println!(
                "{settings:?}, {steps} steps: largest error {:.1e} in {}",
                worst.0, worst.1
            );
        }
    }
}

#[test]
fn wgpu_runs_are_the_same_alone_and_beside_a_diverging_one() {
    if !supported() {
        return;
    }
    let experiments: Vec<Experiment> = (0..3).map(|seed| experiment(&[&format!("task.seed={seed}")])).collect();
    let mut alone = trainer(WGPU, &experiments[2..]);
    let expected = alone.run_chunk(30).expect("trained");
    let mut together = trainer(WGPU, &experiments);
    let mut broken: Vec<(String, Values)> = together
        .state(0)
        .expect("state")
        .into_iter()
        .map(|(name, _, values)| (name, values))
        .collect();
    for (name, values) in &mut broken {
        if let (true, Values::Numbers(weights)) = (name == "parameters", values) {
            weights.fill(f64::NAN);
        }
    }
    together.restore(0, &broken).expect("restored");
    let found = together.run_chunk(30).expect("trained");
    assert_eq!(together.status(0).expect("filled").end, Some(EndReason::Diverged));
    let of_run = |rows: &[MetricsRow], run: u32| -> Vec<(u64, Vec<u64>)> {
        rows.iter()
            .filter(|row| row.run == run)
            .map(|row| (row.step, row.values.iter().map(|x| x.to_bits()).collect()))
            .collect()
    };
    assert_eq!(of_run(&found, 2), of_run(&expected, 0));
    assert_eq!(of_run(&found, 2).len(), 30);
    assert_eq!(
        together.weights(2).expect("weights"),
        alone.weights(0).expect("weights")
    );
}

#[test]
fn wgpu_refuses_what_it_lacks_by_name() {
    if !supported() {
        return;
    }
    let program = experiment(&["optimizer.batch=16"]).program().expect("a plan");
    let error = WgpuExecutor::new(program.plan, 1)
        .expect_err("no such kernel yet")
        .to_string();
    assert!(error.contains("batch_indices") && error.contains("wgpu"), "{error}");
    let mut builder = PlanBuilder::new();
    builder.buffer(Arena::Activations, "large", &[40_000_000]);
    builder.segment(Segment::Step);
    let plan = Arc::new(builder.finish().expect("a plan"));
    let error = WgpuExecutor::new(plan, 1)
        .expect_err("larger than one binding")
        .to_string();
    assert!(error.contains("Activations") && error.contains("160000000"), "{error}");
}
