//! Ten optimiser steps against PyTorch in f64 (tests/oracle).

use std::fs;
use std::path::{Path, PathBuf};

use gmatrix::backend::Precision;
use gmatrix::config::{Config, FurtherGram, ModelConfig, Samples, StatsConfig, Stop, TrainConfig};
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::model::{Layout, ModelShape};
use gmatrix::record::TensorSet;
use gmatrix::task::{Examples, Task};
use gmatrix::trainer::Experiment;
use serde_json::Value;

use crate::support::trainer;

struct Case {
    name: String,
    experiment: Experiment,
    weights: Vec<f64>,
    losses: Vec<f64>,
    after: TensorSet,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn cases() -> Vec<Case> {
    let dirs = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<PathBuf> = dirs.filter(|dir| dir.join("steps.json").exists()).collect();
    dirs.sort();
    assert!(dirs.len() >= 21, "the fixtures are missing");
    dirs.iter().map(|dir| case(dir)).collect()
}

fn case(dir: &Path) -> Case {
    let examples = Examples::read(dir.join("data.safetensors")).unwrap();
    let overrides = Overrides::for_examples(&examples, None);
    let (shape, weights) = read_weights(dir.join("weights.safetensors"), overrides).unwrap();
    let steps: Value = serde_json::from_str(&fs::read_to_string(dir.join("steps.json")).unwrap()).unwrap();
    let mut config = config(&steps);
    // In training the configuration says it, not the shape.
    config.model.attention_mix = shape.attention_mix().into();
    Case {
        name: dir.file_name().unwrap().to_string_lossy().into_owned(),
        experiment: Experiment {
            config,
            task: task(examples, &shape),
            shape,
        },
        weights,
        losses: serde_json::from_value(steps["losses_before"].clone()).unwrap(),
        after: TensorSet::read(&dir.join("steps.safetensors")).unwrap(),
    }
}

fn config(steps: &Value) -> Config {
    // Dropout is a key of the model.
    let mut optimizer = steps["optimizer"].clone();
    let dropout = optimizer.as_object_mut().unwrap().remove("dropout");
    Config {
        model: ModelConfig {
            dropout: dropout.and_then(|share| share.as_f64()).unwrap_or(0.0).into(),
            ..ModelConfig::default()
        },
        optimizer: serde_json::from_value(optimizer).unwrap(),
        loss: serde_json::from_value(serde_json::json!({ "kind": steps["loss_kind"] })).unwrap(),
        train: TrainConfig {
            steps: 10,
            stop: Stop::Never,
            ..TrainConfig::default()
        },
        stats: StatsConfig {
            gram_every: 0.into(),
            decompose_every: 0.into(),
            properties: Vec::new(),
            ..StatsConfig::default()
        },
        ..Config::default()
    }
}

/// All examples are trained on; the test split, which no update sees, is the same.
fn task(examples: Examples, shape: &ModelShape) -> Task {
    let rows: Vec<u32> = (0..examples.n as u32).collect();
    Task {
        test: examples.clone(),
        train_rows: rows.clone(),
        test_rows: rows,
        noisy: Vec::new(),
        secret_bits: Vec::new(),
        modulus: None,
        d_vocab: shape.d_vocab(),
        d_vocab_out: shape.classes(),
        n_ctx: examples.t,
        train: examples,
    }
}

/// Losses before each step, and the weights after steps 1, 3 and 10.
fn ten_steps(case: &Case, precision: Precision) -> (Vec<f64>, Vec<(u64, Vec<f64>)>) {
    let mut trainer = trainer(&case.experiment, precision, 1);
    trainer.fill(0, 0, &case.experiment).unwrap();
    trainer.set_weights(0, &case.weights).unwrap();
    let column = trainer.columns().iter().position(|name| name == "batch_loss").unwrap();
    let (mut losses, mut weights) = (Vec::new(), Vec::new());
    for until in [1, 3, 10] {
        let step = trainer.status(0).unwrap().step;
        let rows = trainer.run_chunk(until - step).unwrap();
        losses.extend(rows.iter().map(|row| row.values[column]));
        weights.push((until, trainer.weights(0).unwrap()));
    }
    (losses, weights)
}

#[test]
fn ten_steps_are_those_of_pytorch() {
    for case in cases() {
        for (precision, bound) in [(Precision::F64, 1e-10), (Precision::F32, 1e-5)] {
            let (losses, weights) = ten_steps(&case, precision);
            assert_eq!(losses.len(), 10);
            for (step, (found, expected)) in losses.iter().zip(&case.losses).enumerate() {
                // A small loss has the relative error of exp(-log-odds), that is the absolute one of the logits.
                let error = (found - expected).abs() / expected;
                assert!(
                    error <= 3.0 * bound,
                    "{} {precision:?} loss {step}: {error:e}",
                    case.name
                );
            }
            let layout = Layout::new(&case.experiment.shape);
            for (step, weights) in &weights {
                for external in &layout.externals {
                    let name = format!("after-{step}/{}", external.name);
                    let expected: Vec<f64> = case.after.get(&name).unwrap().elements().unwrap();
                    let found: Vec<f64> = external.indices(&layout).map(|k| weights[k]).collect();
                    assert_eq!(found.len(), expected.len());
                    let largest = expected.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
                    let differences = found.iter().zip(&expected).map(|(f, e)| (f - e).abs());
                    let error = differences.fold(0.0, f64::max) / largest;
                    assert!(error <= bound, "{} {precision:?} {name}: {error:e}", case.name);
                }
            }
        }
    }
}

/// Ranks in the metric of Adam after three steps, against weights, second moments and gradients by PyTorch.
#[test]
fn preconditioned_grams_are_those_of_pytorch() {
    let mut seen = 0;
    for mut case in cases() {
        let path = fixtures().join(&case.name).join("preconditioned.json");
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        seen += 1;
        let expected: Value = serde_json::from_str(&text).unwrap();
        let stats = &mut case.experiment.config.stats;
        stats.gram_every = 3.into();
        stats.samples = Samples::All;
        stats.grams = vec![FurtherGram::Preconditioned];
        for (precision, bound) in [(Precision::F64, 1e-9), (Precision::F32, 1e-4)] {
            let mut trainer = trainer(&case.experiment, precision, 1);
            trainer.fill(0, 0, &case.experiment).unwrap();
            trainer.set_weights(0, &case.weights).unwrap();
            let row = trainer.run_chunk(4).unwrap().pop().unwrap();
            assert_eq!(row.step, 3);
            for what in [
                "participation_ratio",
                "participation_ratio_population",
                "stable_rank",
                "erank_lambda",
            ] {
                let name = format!("preconditioned.{what}");
                let column = trainer.columns().iter().position(|column| *column == name).unwrap();
                let (found, expected) = (row.values[column], expected[&name].as_f64().unwrap());
                assert!(
                    (found - expected).abs() <= bound * expected,
                    "{} {precision:?} {name}: {found}, expected {expected}",
                    case.name
                );
            }
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn another_learning_rate_is_noticed() {
    for mut case in cases() {
        let expected = ten_steps(&case, Precision::F64).1;
        let lr = &mut case.experiment.config.optimizer.lr;
        *lr = ((1.0 + 1e-6) * lr.at(0)).into();
        let found = ten_steps(&case, Precision::F64).1;
        let difference = |k: usize| {
            let pairs = found[k].1.iter().zip(&expected[k].1);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        assert!(difference(0) > 1e-10, "{}: {:e}", case.name, difference(0));
    }
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let case = cases().remove(0);
    let mut trainer = trainer(&case.experiment, Precision::F64, 1);
    let refused = trainer.set_weights(0, &case.weights).unwrap_err().to_string();
    assert_eq!(refused, "slot 0 is empty, expected a run in it");
    trainer.fill(0, 0, &case.experiment).unwrap();
    let refused = trainer.set_weights(0, &case.weights[1..]).unwrap_err().to_string();
    assert!(refused.starts_with("buffer parameters has"), "{refused}");
}
