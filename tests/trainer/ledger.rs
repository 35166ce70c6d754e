//! What every step did to every property: parts that add up, and a ledger that closes.

use gmatrix::backend::Precision;
use gmatrix::config::{Batch, Config, GradientFilter, LossKind, NoiseScale, OptimizerKind, Regions};
use gmatrix::measure::{Measurement, Request, measure};
use gmatrix::model::{Activation, Norm};
use gmatrix::schedule::{Cadence, Interpolation};
use gmatrix::task::Examples;
use gmatrix::trainer::Experiment;

use crate::support::{experiment, finish, schedule, trainer, transformer};

pub const PROPERTIES: [&str; 7] = [
    "train_loss",
    "test_loss",
    "half_norm2",
    "logit:0:3",
    "prob:test:2:1",
    "log_odds:4",
    "mean_log_odds_test",
];

pub const KINDS: [(OptimizerKind, f64); 5] = [
    (OptimizerKind::Sgd, 0.1),
    (OptimizerKind::Momentum, 0.03),
    (OptimizerKind::Nesterov, 0.03),
    (OptimizerKind::Adam, 3e-3),
    (OptimizerKind::Adamw, 3e-3),
];

/// Parts of a change, as their columns begin.
const PARTS: [&str; 6] = ["selection", "lagged", "noise", "decay", "decay_lagged", "second"];
const DECAY_LAGGED: usize = 4;

const BATCHES: [Batch; 2] = [Batch::Full, Batch::Size(8)];

pub fn config(kind: OptimizerKind, lr: f64, batch: Batch, every: u32) -> Config {
    let mut config = transformer();
    config.model.norm = Norm::Pre;
    config.model.activation = Activation::Gelu;
    config.optimizer.kind = kind;
    config.optimizer.lr = lr.into();
    config.optimizer.weight_decay = 0.1.into();
    config.optimizer.batch = batch;
    config.train.steps = 21;
    config.stats.gram_every = 0.into();
    config.stats.decompose_every = every.into();
    config.stats.properties = PROPERTIES.map(str::to_owned).to_vec();
    config
}

/// Steps between decompositions.
fn every(config: &Config) -> usize {
    match config.stats.decompose_every {
        Cadence::Every(every) => every as usize,
        other => panic!("multiples, not {other}"),
    }
}

/// One step's row by column names, with the weights on both sides of the step.
pub struct Step {
    names: Vec<String>,
    values: Vec<f64>,
    pub before: Vec<f64>,
    after: Vec<f64>,
}

impl Step {
    fn get(&self, name: &str) -> f64 {
        let place = self.names.iter().position(|n| n == name);
        self.values[place.unwrap_or_else(|| panic!("no column {name}"))]
    }

    pub fn of(&self, part: &str, property: &str) -> f64 {
        self.get(&format!("{part}.{property}"))
    }

    fn change(&self) -> Vec<f64> {
        self.after.iter().zip(&self.before).map(|(a, b)| a - b).collect()
    }
}

pub fn steps(experiment: &Experiment) -> Vec<Step> {
    let mut trainer = trainer(experiment, Precision::F64, 1);
    trainer.fill(0, 0, experiment).unwrap();
    let mut steps = Vec::new();
    while trainer.status(0).unwrap().end.is_none() {
        let before = trainer.weights(0).unwrap();
        let rows = trainer.run_chunk(1).unwrap();
        steps.push(Step {
            names: trainer.columns().to_vec(),
            values: rows[0].values.clone(),
            before,
            after: trainer.weights(0).unwrap(),
        });
    }
    steps
}

fn measured(experiment: &Experiment, examples: &Examples, weights: &[f64]) -> Measurement {
    let request = Request {
        precision: Precision::F64,
        loss: LossKind::CrossEntropy,
        properties: Vec::new(),
        group: None,
        spectrum: false,
        gram: false,
        grams: Vec::new(),
        probes: None,
    };
    measure(&experiment.shape, weights, examples, &request).unwrap()
}

/// The properties at these weights, from the logits alone.
fn values(experiment: &Experiment, weights: &[f64]) -> Vec<f64> {
    let classes = experiment.shape.classes();
    let [train, test] = [&experiment.task.train, &experiment.task.test];
    let logits = [train, test].map(|split| measured(experiment, split, weights).logits);
    let row = |split: usize, i: usize| &logits[split][i * classes..][..classes];
    let odds = |z: &[f64], c: usize| {
        let others: f64 = (0..classes).filter(|j| *j != c).map(|j| z[j].exp()).sum();
        z[c] - others.ln()
    };
    let label = |split: usize, i: usize| [train, test][split].labels[i] as usize;
    let mean = |split: usize, of: &dyn Fn(f64) -> f64| {
        let n = [train.n, test.n][split];
        (0..n).map(|i| of(odds(row(split, i), label(split, i)))).sum::<f64>() / n as f64
    };
    let loss = |log_odds: f64| (-log_odds).exp().ln_1p();
    vec![
        mean(0, &loss),
        mean(1, &loss),
        0.5 * weights.iter().map(|w| w * w).sum::<f64>(),
        row(0, 0)[3],
        1.0 / (1.0 + (-odds(row(1, 2), 1)).exp()),
        odds(row(0, 4), label(0, 4)),
        mean(1, &|log_odds| log_odds),
    ]
}

pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

#[track_caller]
pub fn close(found: f64, expected: f64, scale: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-12 * scale,
        "{what}: {found:e}, expected {expected:e}, scale {scale:e}"
    );
}

#[test]
fn parts_add_up_to_the_change_and_the_ledger_closes() {
    for (kind, lr) in KINDS {
        for batch in BATCHES {
            for every in [1, 7] {
                let experiment = experiment(&config(kind, lr, batch, every));
                check(&experiment, &format!("{kind:?} {batch:?} every {every}"));
            }
        }
    }
}

/// A way to shape the gradient, with its name.
type Shape = (&'static str, fn(&mut Config));

#[test]
fn parts_of_a_shaped_gradient_add_up() {
    let shapes: [Shape; 8] = [
        ("clipped", |set| set.optimizer.clip = 0.3.into()),
        ("averaged", |set| set.optimizer.filter = GradientFilter::GrokfastEma),
        ("perpendicular", |set| set.optimizer.perpendicular = Regions::Tensor),
        ("all of it", |set| {
            set.optimizer.filter = GradientFilter::GrokfastMa;
            set.optimizer.filter_window = 4;
            set.optimizer.perpendicular = Regions::Global;
            set.optimizer.clip = 0.3.into();
            set.optimizer.noise = 0.5.into();
            set.optimizer.noise_scale = NoiseScale::Relative;
        }),
        ("pulled", |set| set.optimizer.l1 = 0.01.into()),
        ("noisy", |set| set.optimizer.noise = 0.02.into()),
        ("dropped", |set| set.model.dropout = 0.2.into()),
        ("held", |set| {
            set.optimizer.hold_norm = Regions::Tensor;
            set.optimizer.hold_factor = schedule(&[(0, 1.0), (5, 0.9)], Interpolation::Linear);
        }),
    ];
    for (kind, lr) in KINDS {
        for batch in BATCHES {
            for (name, shape) in shapes {
                let mut config = config(kind, lr, batch, 1);
                config.train.steps = 9;
                shape(&mut config);
                let experiment = experiment(&config);
                let what = format!("{kind:?} {batch:?} {name}");
                check(&experiment, &what);
                follows(&experiment, &what);
            }
        }
    }
}

fn check(experiment: &Experiment, what: &str) {
    let config = &experiment.config;
    let steps = steps(experiment);
    let first = values(experiment, &steps[0].before);
    let recorded = |k: usize| k.is_multiple_of(every(config));
    let kind = config.optimizer.kind;
    let mut sums = [[0.0; 6]; PROPERTIES.len()];
    let mut magnitudes = first.iter().map(|x| x.abs()).collect::<Vec<_>>();
    for (k, step) in steps.iter().enumerate() {
        if !recorded(k) {
            assert!(step.of("predicted", "train_loss").is_nan() && step.of("ledger.total", "half_norm2").is_nan());
            continue;
        }
        let (before, after) = (values(experiment, &step.before), values(experiment, &step.after));
        for (x, name) in PROPERTIES.iter().enumerate() {
            let what = format!("{what}, step {k}, {name}");
            let parts = PARTS.map(|part| step.of(part, name));
            let ledgers = PARTS.map(|part| step.of(&format!("ledger.{part}"), name));
            // Null where decay goes through no moments, and then no summand.
            assert_eq!(parts[DECAY_LAGGED].is_nan(), !kind.remembers_decay(), "{what}");
            assert_eq!(ledgers[DECAY_LAGGED].is_nan(), !kind.remembers_decay(), "{what}");
            let [parts, ledgers] =
                [parts, ledgers].map(|parts| parts.map(|part| if part.is_nan() { 0.0 } else { part }));
            let (predicted, measured) = (step.of("predicted", name), step.of("measured", name));
            let scale = parts.iter().map(|part| part.abs()).sum::<f64>();
            close(parts[..5].iter().sum(), predicted, scale, &what);
            close(measured - predicted, parts[5], scale, &what);
            close(step.of("value", name), before[x], 1.0 + before[x].abs(), &what);
            close(measured, after[x] - before[x], 1.0 + before[x].abs(), &what);
            magnitudes[x] += scale + before[x].abs();
            for place in 0..PARTS.len() {
                sums[x][place] += parts[place];
                close(ledgers[place], sums[x][place], magnitudes[x], &what);
            }
            let between = step.of("ledger.between", name);
            if k == 0 || every(config) == 1 {
                close(between, 0.0, magnitudes[x], &what);
            } else {
                assert_ne!(between, 0.0, "{what}");
            }
            close(step.of("ledger.total", name), after[x] - first[x], magnitudes[x], &what);
            if *name == "half_norm2" && config.optimizer.perpendicular != Regions::None {
                // What is perpendicular to the weights leaves their norm alone.
                continue;
            }
            let deviates = !(config.optimizer.noise.is_zero() && config.model.dropout.is_zero());
            let exact = config.optimizer.batch == Batch::Full && !deviates;
            assert_eq!(parts[2] == 0.0, exact, "{what}: noise");
            let averages = match config.optimizer.filter {
                GradientFilter::None => false,
                GradientFilter::GrokfastEma => k > 0,
                GradientFilter::GrokfastMa => k + 1 >= config.optimizer.filter_window as usize,
            };
            let remembers = averages || (kind != OptimizerKind::Sgd && k > 0);
            assert_eq!(parts[1] != 0.0, remembers, "{what}: lagged");
            let of_decay = kind.remembers_decay() && k > 0;
            assert_eq!(parts[DECAY_LAGGED] != 0.0, of_decay, "{what}: decay_lagged");
        }
    }
}

#[test]
fn predictions_are_products_with_the_update_that_was_made() {
    for (kind, lr) in KINDS {
        for batch in BATCHES {
            let experiment = experiment(&config(kind, lr, batch, 1));
            follows(&experiment, &format!("{kind:?} {batch:?}"));
            for (k, step) in steps(&experiment).iter().enumerate().take(6) {
                let what = format!("{kind:?} {batch:?} step {k}");
                let gradients = gradients(&experiment, step);
                for (name, gradient) in &gradients {
                    for (other, second) in &gradients {
                        let scale = (dot(gradient, gradient) * dot(second, second)).sqrt();
                        let found = step.of(&format!("ntcov.{name}"), other);
                        close(
                            found,
                            dot(gradient, second),
                            scale,
                            &format!("{what} ntcov {name} {other}"),
                        );
                    }
                }
                if kind == OptimizerKind::Sgd {
                    let rate = lr * (k as f64 + 1.0).min(3.0) / 3.0;
                    for name in PROPERTIES {
                        // Selection is the full gradient's part, also where the step took a minibatch.
                        let expected = -rate * step.of("ntcov.train_loss", name);
                        close(step.of("selection", name), expected, expected.abs(), &what);
                        let expected = -rate * 0.1 * step.of("ntcov.half_norm2", name);
                        close(step.of("decay", name), expected, dot(&step.before, &step.before), &what);
                    }
                }
            }
        }
    }
}

/// Gradients of three properties before the step, from their definitions.
pub fn gradients(experiment: &Experiment, step: &Step) -> [(&'static str, Vec<f64>); 3] {
    let gradient = |examples: &Examples| measured(experiment, examples, &step.before).mean_gradient;
    [
        ("train_loss", gradient(&experiment.task.train)),
        ("test_loss", gradient(&experiment.task.test)),
        ("half_norm2", step.before.clone()),
    ]
}

/// Predicted changes are the products of gradients with the update that was made.
fn follows(experiment: &Experiment, what: &str) {
    for (k, step) in steps(experiment).iter().enumerate().take(6) {
        let change = step.change();
        for (name, gradient) in &gradients(experiment, step) {
            // Adam divides what a minibatch never saw by eps: selection and noise are then large, and cancel.
            let parts = ["selection", "noise"].map(|part| step.of(part, name).abs());
            let scale = (dot(gradient, gradient) * dot(&change, &change)).sqrt() + parts[0] + parts[1];
            let predicted = step.of("predicted", name);
            close(
                predicted,
                dot(gradient, &change),
                scale,
                &format!("{what} step {k} {name}"),
            );
        }
    }
}

#[test]
fn ntcov_is_symmetric_and_positive() {
    let experiment = experiment(&config(OptimizerKind::Adamw, 3e-3, Batch::Full, 1));
    for step in steps(&experiment) {
        let k = PROPERTIES.len();
        let at = |a: usize, b: usize| step.get(&format!("ntcov.{}.{}", PROPERTIES[a], PROPERTIES[b]));
        let scaled = |a: usize, b: usize| at(a, b) / (at(a, a) * at(b, b)).sqrt();
        for a in 0..k {
            for b in 0..k {
                assert_eq!(at(a, b).to_bits(), at(b, a).to_bits());
            }
        }
        let matrix = faer::Mat::from_fn(k, k, scaled);
        let values = matrix.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
        assert!(values[0] > -1e-13 && values[k - 1] <= k as f64 + 1e-12, "{values:?}");
        let norm = step.get("gradient_norm");
        close(at(0, 0), norm * norm, norm * norm, "ntcov.train_loss.train_loss");
    }
}

/// The residual of the first order is the curvature along the step: it falls as the square of the learning rate.
#[test]
fn what_the_first_order_leaves_is_of_second_order() {
    let second = |lr: f64| {
        let mut config = config(OptimizerKind::Sgd, lr, Batch::Full, 1);
        config.optimizer.weight_decay = 0.0.into();
        config.optimizer.warmup = 0;
        config.train.steps = 1;
        let step = steps(&experiment(&config)).remove(0);
        PROPERTIES.map(|name| step.of("second", name).abs().ln())
    };
    let [long, middle, small] = [1e-2, 1e-3, 1e-4].map(second);
    for (x, name) in PROPERTIES.iter().enumerate() {
        let slope = (middle[x] - small[x]) / 10f64.ln();
        assert!((slope - 2.0).abs() < 0.05, "{name}: {slope}");
    }
    // At the longest step the third order shows, least in what is descended.
    for x in [0, 2] {
        let slope = (long[x] - small[x]) / 100f64.ln();
        assert!(
            (slope - 2.0).abs() < 0.05,
            "{} over two decades: {slope}",
            PROPERTIES[x]
        );
    }
}

/// Minibatches of one epoch are a partition of the split: at frozen weights their noise sums to zero. At a rate of 1e-30
/// no weight moves, while the parts, which are linear in it, keep all their digits.
#[test]
fn noise_sums_to_zero_over_an_epoch() {
    let mut config = config(OptimizerKind::Sgd, 1e-30, Batch::Size(8), 1);
    config.task.train_fraction = 0.49;
    config.optimizer.weight_decay = 0.0.into();
    config.optimizer.warmup = 0;
    config.train.steps = 6;
    let experiment = experiment(&config);
    assert_eq!(experiment.task.train.n, 24);
    let steps = steps(&experiment);
    for epoch in steps.chunks(3) {
        for name in PROPERTIES {
            let noise: Vec<f64> = epoch.iter().map(|step| step.of("noise", name)).collect();
            let scale: f64 = epoch
                .iter()
                .map(|step| step.of("noise", name).abs() + step.of("selection", name).abs())
                .sum();
            assert!(noise.iter().all(|x| x.abs() > 1e-6 * scale), "{name}: {noise:?}");
            close(noise.iter().sum(), 0.0, scale, name);
        }
    }
}

/// A property reads the same whatever else is asked for, and the update does not depend on being decomposed.
#[test]
fn being_watched_changes_nothing() {
    let watched = experiment(&config(OptimizerKind::Adam, 3e-3, Batch::Size(8), 1));
    let mut alone = watched.clone();
    alone.config.stats.decompose_every = 0.into();
    alone.config.stats.properties = Vec::new();
    let weights = [&watched, &alone].map(|experiment| {
        let mut trainer = trainer(experiment, Precision::F32, 1);
        trainer.fill(0, 0, experiment).unwrap();
        finish(&mut trainer, 1);
        trainer.weights(0).unwrap()
    });
    assert!(weights[0] == weights[1]);
    let mut fewer = watched.clone();
    fewer.config.stats.properties = vec!["log_odds:4".to_owned(), "train_loss".to_owned()];
    for (a, b) in steps(&watched).iter().zip(&steps(&fewer)) {
        for part in ["value", "predicted", "measured", "selection", "noise", "ledger.total"] {
            for name in ["train_loss", "log_odds:4"] {
                assert_eq!(a.of(part, name).to_bits(), b.of(part, name).to_bits(), "{part} {name}");
            }
        }
    }
}
