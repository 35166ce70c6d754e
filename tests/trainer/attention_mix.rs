//! Attention mixed with the uniform distribution over the visible positions.

use std::sync::Arc;

use gmatrix::backend::{Precision, cpu_executor};
use gmatrix::config::{Config, LossKind, TaskOp};
use gmatrix::measure::{Measurement, Request, measure};
use gmatrix::model::ModelShape;
use gmatrix::plan::Plan;
use gmatrix::schedule::Interpolation;
use gmatrix::structure::Table;
use gmatrix::structure::algorithm::gradient_symmetricity;
use gmatrix::task::{Cyclic, gram_subset};
use gmatrix::trainer::Experiment;

use crate::support::{PRECISIONS, alone, experiment, minibatch, schedule, trainer, transformer};

fn configs() -> [Config; 2] {
    [transformer(), minibatch()]
}

#[test]
fn a_share_of_zero_leaves_every_bit() {
    for config in configs() {
        let mut mixed = config.clone();
        mixed.model.attention_mix = schedule(&[(100, 0.0), (200, 1.0)], Interpolation::Linear);
        let plain = experiment(&config);
        let mixed = experiment(&mixed);
        assert_ne!(plain.program().unwrap().plan, mixed.program().unwrap().plan);
        for precision in PRECISIONS {
            let (expected, columns) = alone(&plain, precision);
            let (found, _) = alone(&mixed, precision);
            found.assert_same(&expected, &columns, "mixed by nothing");
        }
    }
}

fn request() -> Request {
    Request {
        precision: Precision::F64,
        loss: LossKind::CrossEntropy,
        properties: Vec::new(),
        group: None,
        spectrum: true,
        gram: false,
        grams: Vec::new(),
        probes: None,
    }
}

fn measured(experiment: &Experiment, weights: &[f64], mix: f64) -> Measurement {
    let train = &experiment.task.train;
    let subset = train.select(&gram_subset(train.n, 10, experiment.config.task.seed));
    let shape = experiment.shape.clone().with_attention_mix(mix);
    measure(&shape, weights, &subset, &request()).unwrap()
}

/// Every pass of a step mixes by the share that is due: what the Gram segment and the properties say is what is measured
/// of the weights before the step at that share, and at no other.
#[test]
fn every_pass_mixes_by_the_share_of_its_step() {
    for mut config in configs() {
        let share = schedule(&[(0, 0.1), (12, 0.7)], Interpolation::Linear);
        config.model.attention_mix = share.clone();
        config.train.steps = 9;
        config.stats.decompose_every = 4.into();
        config.stats.properties = vec!["train_loss".to_owned(), "log_odds:test:1".to_owned()];
        let experiment = experiment(&config);
        let mut trainer = trainer(&experiment, Precision::F64, 1);
        trainer.fill(0, 0, &experiment).unwrap();
        let column = |names: &[String], name: &str| names.iter().position(|column| column == name).unwrap();
        for step in 0..9 {
            let before = trainer.weights(0).unwrap();
            let row = trainer.run_chunk(1).unwrap().remove(0);
            let value = |name: &str| row.values[column(trainer.columns(), name)];
            if step % 4 != 0 {
                continue;
            }
            let found = measured(&experiment, &before, share.at(step));
            let other = measured(&experiment, &before, share.at(step) + 0.01);
            for name in ["raw.erank_lambda", "mean_cosine", "cosine.stable_rank"] {
                let [same, other] = [&found, &other].map(|found| found.scalars[name].unwrap());
                let close = |x: f64| (value(name) - x).abs() <= 1e-10 * x.abs();
                assert!(
                    close(same) && !close(other),
                    "step {step} {name}: {} {same}",
                    value(name)
                );
            }
            // Losses: by the pass of the evaluation, of the step and of the properties.
            let shape = experiment.shape.clone().with_attention_mix(share.at(step));
            let loss = measure(&shape, &before, &experiment.task.train, &request())
                .unwrap()
                .scalars["loss"]
                .unwrap();
            let close = |x: f64| (x - loss).abs() <= 1e-11 * loss;
            assert!(close(value("value.train_loss")), "step {step}: value");
            assert!(
                value("train_loss").is_nan() || close(value("train_loss")),
                "step {step}: evaluation"
            );
        }
    }
}

/// With nothing but the uniform distribution, attention takes means: W_Q and W_K do nothing, and have no gradient.
#[test]
fn a_share_of_one_takes_means() {
    let experiment = experiment(&transformer());
    let layout = gmatrix::model::Layout::new(&experiment.shape);
    let mut trainer = trainer(&experiment, Precision::F64, 1);
    trainer.fill(0, 0, &experiment).unwrap();
    let weights = trainer.weights(0).unwrap();
    let found = measured(&experiment, &weights, 1.0);
    let mut others = weights.clone();
    for external in &layout.externals {
        let places: Vec<usize> = external.indices(&layout).collect();
        let silent = external.name.ends_with("W_Q") || external.name.ends_with("W_K");
        let is_zero = places.iter().all(|k| found.mean_gradient[*k] == 0.0);
        assert_eq!(is_zero, silent, "{}", external.name);
        if silent {
            places.iter().for_each(|k| others[*k] *= -3.0);
        }
    }
    assert_eq!(measured(&experiment, &others, 1.0).logits, found.logits);
    assert_ne!(
        measured(&experiment, &others, 0.5).logits,
        measured(&experiment, &weights, 0.5).logits
    );
}

#[test]
fn a_shape_with_a_share_that_cannot_be_is_refused() {
    let ModelShape::Transformer(mut shape) = experiment(&transformer()).shape else {
        panic!("a transformer");
    };
    shape.attention_mix = 1.5;
    let refused = ModelShape::Transformer(shape).check().unwrap_err().to_string();
    assert_eq!(refused, "model: attention_mix is 1.5, expected a number from 0 to 1");
}

/// The structure that is found in weights is that of their mixed passes.
#[test]
fn structure_is_measured_with_the_share_of_the_weights() {
    let experiment = experiment(&transformer());
    let (train, test) = (&experiment.task.train, &experiment.task.test);
    let table = Table::new(
        Cyclic::new(TaskOp::Add, 7).unwrap(),
        train,
        test,
        LossKind::CrossEntropy,
    )
    .unwrap();
    let mut trainer = trainer(&experiment, Precision::F64, 1);
    trainer.fill(0, 0, &experiment).unwrap();
    let weights = trainer.weights(0).unwrap();
    let make = |plan: Arc<Plan>| cpu_executor(plan, Precision::F64);
    let [plain, mixed] = [0.0, 0.4].map(|mix| {
        let shape = experiment.shape.clone().with_attention_mix(mix);
        let found = table.responses(&make, &shape, &weights).unwrap().logits;
        let expected = measure(&shape, &weights, &table.examples, &request()).unwrap().logits;
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        (found, gradient_symmetricity(&make, &table, &shape, &weights).unwrap())
    });
    assert_ne!(plain.0, mixed.0);
    assert_ne!(plain.1, mixed.1);
}
