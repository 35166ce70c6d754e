//! Whole recorded steps of a small transformer through the trainer, on the CPU and on wgpu.

use gmatrix::backend::Values;
use gmatrix::backend::wgpu::WgpuExecutor;
use gmatrix::config::{Layers, Preset};
use gmatrix::record::{EndReason, MetricsRow};
use gmatrix::trainer::Experiment;

use super::support::{F32, F64, Make, WGPU, error, experiment, rows, trainer};
use super::supported;

/// Columns that are differences of nearly equal numbers, so that their un-cancelled parts bound their error.
const CANCELLING: [&str; 2] = ["coherence_unbiased", "noise_g2"];

/// A run from its first step to grokking.
fn grokked(make: Make, seed: u64) -> (u64, Vec<MetricsRow>, Vec<f64>) {
    let settings = [
        "task.p=23",
        "task.train_fraction=0.8",
        "model.kind=mlp",
        "model.hidden=[64]",
        "model.activation=quadratic",
        "optimizer.lr=2e-2",
        "optimizer.weight_decay=1.0",
        "stats.samples=32",
        "train.steps=1000",
        "train.stop=grokked+0",
    ];
    let seed = format!("task.seed={seed}");
    let layers = settings
        .iter()
        .chain([&seed.as_str()])
        .fold(Layers::new(Preset::Quick), |layers, setting| {
            layers.set(setting).expect("a known key")
        });
    let experiment = Experiment::new(&layers.build().expect("a valid configuration")).expect("an experiment");
    let mut trainer = trainer(make, std::slice::from_ref(&experiment));
    let mut rows = Vec::new();
    while trainer.status(0).expect("filled").end.is_none() {
        rows.extend(trainer.run_chunk(50).expect("trained"));
    }
    let status = trainer.status(0).expect("filled");
    assert_eq!(status.end, Some(EndReason::Grokked));
    (
        status.grokked.expect("a step"),
        rows,
        trainer.weights(0).expect("weights"),
    )
}

#[test]
fn wgpu_groks_when_the_cpu_does_and_again_to_the_bit() {
    if !supported() {
        return;
    }
    let of_cpu: Vec<u64> = (0..6).map(|seed| grokked(F32, seed).0).collect();
    let (earliest, latest) = (of_cpu.iter().min().expect("runs"), of_cpu.iter().max().expect("runs"));
    let (step, rows, weights) = grokked(WGPU, 0);
    println!("grokked at {step}, on the CPU with six seeds at {of_cpu:?}");
    assert!(
        (*earliest..=*latest).contains(&step),
        "at {step}, on the CPU at {of_cpu:?}"
    );
    let (_, again, weights_again) = grokked(WGPU, 0);
    let bits = |rows: &[MetricsRow]| -> Vec<u64> {
        rows.iter()
            .flat_map(|row| row.values.iter().map(|x| x.to_bits()))
            .collect()
    };
    assert_eq!(bits(&rows), bits(&again));
    assert_eq!(weights, weights_again);
}

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
fn wgpu_refuses_what_lavapipe_would_end_too_soon() {
    if !supported() || !gmatrix::backend::wgpu::probe().is_ok_and(|found| found.name.contains("llvmpipe")) {
        return;
    }
    let of_samples = |samples: &str| {
        let program = experiment(&["task.p=23", "stats.gram_every=2", samples]).program();
        WgpuExecutor::new(program.expect("a plan").plan, 1)
    };
    of_samples("stats.samples=150").expect("loops that end by themselves");
    let error = of_samples("stats.samples=151").expect_err("longer loops").to_string();
    assert!(error.contains("65,535") && error.contains("spectrum"), "{error}");
}
