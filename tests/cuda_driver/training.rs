//! Whole recorded steps of a small transformer through the trainer, on the CPU and through CUDA's driver.

use std::sync::Arc;

use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::cuda::{CudaExecutor, Launching};
use gmatrix::backend::{Executor, Precision, Values};
use gmatrix::config::{Layers, Preset};
use gmatrix::plan::Plan;
use gmatrix::record::MetricsRow;
use gmatrix::trainer::{Experiment, Trainer};

use super::standin::under_driver;

fn experiment(seed: u64) -> Experiment {
    let seed = format!("task.seed={seed}");
    let settings = [
        "task.p=7",
        "model.d_model=16",
        "model.heads=2",
        "model.d_mlp=24",
        "stats.gram_every=2",
        "stats.decompose_every=2",
        "stats.evaluate_every=3",
        "stats.samples=12",
        "train.chunk=6",
        &seed,
    ];
    let layers = settings.iter().fold(Layers::new(Preset::Quick), |layers, setting| {
        layers.set(setting).expect("a known key")
    });
    Experiment::new(&layers.build().expect("a valid configuration")).expect("an experiment")
}

type Make<'a> = &'a dyn Fn(Arc<Plan>, usize) -> Box<dyn Executor>;

fn cuda(precision: Precision, launching: Launching) -> impl Fn(Arc<Plan>, usize) -> Box<dyn Executor> {
    move |plan, runs| {
        Box::new(CudaExecutor::launching(plan, runs, precision, launching).expect("every kernel is there"))
    }
}

fn trainer(make: Make, experiments: &[Experiment]) -> Trainer {
    let program = experiments[0].program().expect("a plan");
    let executor = make(program.plan.clone(), experiments.len());
    let mut trainer = Trainer::new(program, executor, experiments.len());
    for (slot, experiment) in experiments.iter().enumerate() {
        trainer.fill(slot, slot as u32, experiment).expect("filled");
    }
    trainer
}

fn bits(rows: &[MetricsRow], run: u32) -> Vec<(u64, Vec<u64>)> {
    let of_run = rows.iter().filter(|row| row.run == run);
    of_run
        .map(|row| (row.step, row.values.iter().map(|x| x.to_bits()).collect()))
        .collect()
}

#[test]
fn cuda_trains_as_the_cpu_does() {
    under_driver("training::cuda_trains_as_the_cpu_does", || {
        let experiment = experiment(0);
        let cpu: Make = &|plan, runs| Box::new(CpuExecutor::<f64>::new(plan, runs).expect("the CPU runs everything"));
        let mut exact = trainer(cpu, std::slice::from_ref(&experiment));
        let expected = exact.run_chunk(6).expect("trained");
        let make = cuda(Precision::F64, Launching::Graphs);
        let mut on_cuda = trainer(&make, std::slice::from_ref(&experiment));
        let found = on_cuda.run_chunk(6).expect("trained");
        assert_eq!(found.len(), expected.len());
        let mut worst = (0.0, String::new());
        for (column, name) in exact.columns().iter().enumerate() {
            // What counts rounding errors is not the same on two machines.
            if [".rank", ".negative_eigenvalues", ".erank_sigma"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                continue;
            }
            let value = |row: &MetricsRow| row.values[column];
            let largest = expected.iter().map(|row| value(row).abs()).fold(1e-300, f64::max);
            for (a, b) in found.iter().map(value).zip(expected.iter().map(value)) {
                assert_eq!(a.is_nan(), b.is_nan(), "{name}");
                let error = if a.is_nan() { 0.0 } else { (a - b).abs() / largest };
                if error > worst.0 {
                    worst = (error, name.clone());
                }
            }
        }
        println!("largest error {:.1e} in {}", worst.0, worst.1);
        assert!(worst.0 < 1e-6, "{} off by {:e}", worst.1, worst.0);
    });
}

#[test]
fn cuda_gives_the_same_bits_with_graphs_and_without_ahead_and_beside_another_run() {
    under_driver(
        "training::cuda_gives_the_same_bits_with_graphs_and_without_ahead_and_beside_another_run",
        || {
            let experiments = [experiment(1), experiment(0)];
            let mut expected = Vec::new();
            for launching in [Launching::Single, Launching::Waiting, Launching::Graphs] {
                let make = cuda(Precision::F32, launching);
                let mut alone = trainer(&make, &experiments[1..]);
                let rows = bits(&alone.run_chunk(6).expect("trained"), 0);
                assert_eq!(rows.len(), 6);
                if expected.is_empty() {
                    expected = rows.clone();
                }
                assert_eq!(rows, expected, "{launching:?}");
            }
            let make = cuda(Precision::F32, Launching::Graphs);
            // The next steps are submitted before the rows of these are read.
            let mut ahead = trainer(&make, &experiments[1..]);
            let mut rows = ahead.run_chunk_ahead(2, 4).expect("trained");
            rows.extend(ahead.run_chunk_ahead(4, 0).expect("trained"));
            assert_eq!(bits(&rows, 0), expected);
            let mut together = trainer(&make, &experiments);
            let rows = together.run_chunk(6).expect("trained");
            assert_eq!(bits(&rows, 1), expected);
            // From a state in the middle.
            let mut first = trainer(&make, &experiments[1..]);
            first.run_chunk(3).expect("trained");
            let state = first.state(0).expect("a state").into_iter();
            let state: Vec<(String, Values)> = state.map(|(name, _, values)| (name, values)).collect();
            drop(first);
            let mut second = trainer(&make, &experiments[1..]);
            second.restore(0, &state).expect("restored");
            assert_eq!(bits(&second.run_chunk(3).expect("trained"), 0), expected[3..]);
        },
    );
}

#[test]
fn cuda_times_launches_one_after_the_other() {
    under_driver("training::cuda_times_launches_one_after_the_other", || {
        let program = experiment(0).program().expect("a plan");
        let mut executor =
            CudaExecutor::launching(program.plan, 1, Precision::F32, Launching::Graphs).expect("an executor");
        executor.set_profiling(true).expect("a clock");
        for _ in 0..2 {
            executor
                .submit(&[gmatrix::plan::Segment::Begin, gmatrix::plan::Segment::End])
                .expect("submitted");
        }
        let spans = executor.spans().expect("spans");
        assert!(!spans.is_empty() && spans.iter().all(|span| span.seconds >= 0.0 && span.start >= 0.0));
        assert!(
            spans
                .windows(2)
                .all(|pair| pair[1].start + 1e-6 >= pair[0].start + pair[0].seconds)
        );
    });
}
