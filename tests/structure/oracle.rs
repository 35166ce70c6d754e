//! Against explicit bases, numpy's FFT and autograd: `tests/oracle/structure.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gmatrix::backend::{Executor, Precision, cpu_executor};
use gmatrix::config::{LossKind, TaskOp};
use gmatrix::model::ModelShape;
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::plan::Plan;
use gmatrix::structure::logits::LogitWaves;
use gmatrix::structure::{Responses, Table, algorithm, weights};
use gmatrix::task::{Cyclic, Examples};
use serde_json::Value;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

pub(super) fn make(plan: Arc<Plan>) -> gmatrix::Result<Box<dyn Executor>> {
    cpu_executor(plan, Precision::F64)
}

struct Case {
    expected: Value,
    table: Table,
    shape: ModelShape,
    weights: Vec<f64>,
    responses: Responses,
}

fn case(name: &str) -> Case {
    let text = fs::read_to_string(tests().join(format!("structure/fixtures/{name}.json"))).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let folder = tests().join("trainer/fixtures").join(name);
    let examples = Examples::read(folder.join("data.safetensors")).unwrap();
    let (shape, weights) = read_weights(folder.join("weights.safetensors"), Overrides::default()).unwrap();
    let op = match expected["op"].as_str().unwrap() {
        "add" => TaskOp::Add,
        "sub" => TaskOp::Sub,
        "mul" => TaskOp::Mul,
        _ => TaskOp::Div,
    };
    let loss = match expected["loss_kind"].as_str().unwrap() {
        "mse" => LossKind::Mse,
        _ => LossKind::CrossEntropy,
    };
    let group = Cyclic::new(op, expected["p"].as_u64().unwrap() as u32).unwrap();
    let rows = |test: bool| -> Vec<u32> { (0..examples.n as u32).filter(|i| i.is_multiple_of(3) == test).collect() };
    let (train, test) = (examples.select(&rows(false)), examples.select(&rows(true)));
    let table = Table::new(group, &train, &test, loss).unwrap();
    let responses = table.responses(&make, &shape, &weights).unwrap();
    Case {
        expected,
        table,
        shape,
        weights,
        responses,
    }
}

const CASES: [&str; 4] = ["mlp_add", "mlp_sub", "transformer_mul", "transformer_div"];

/// Numbers of a nested list, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap_or_else(|| panic!("{other} is no number"))],
    }
}

#[track_caller]
fn assert_close(what: &str, found: &[f64], expected: &Value) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= 1e-10 * expected.abs().max(1e-2),
            "{what} {k}: {found}, expected {expected}"
        );
    }
}

#[test]
fn losses_and_waves_of_the_logits_are_those_of_explicit_projections() {
    for name in CASES {
        let case = case(name);
        let keys: Vec<usize> = numbers(&case.expected["keys"]).iter().map(|k| *k as usize).collect();
        let waves = LogitWaves::new(&case.table, &case.responses);
        let [loss, accuracy] = waves.restricted(&keys);
        let at = |what: &str| format!("{name}: {what}");
        assert_close(&at("restricted loss"), &[loss], &case.expected["restricted_loss"]);
        assert_close(&at("accuracy"), &[accuracy], &case.expected["restricted_accuracy"]);
        assert_close(
            &at("excluded loss"),
            &[waves.excluded(&keys)],
            &case.expected["excluded_loss"],
        );
        assert_close(&at("cosines"), &waves.cosines().concat(), &case.expected["cosines"]);
        assert_close(&at("spectrum"), &waves.spectrum(), &case.expected["logits"]);
    }
}

#[test]
fn neurons_have_the_frequencies_of_explicit_projections() {
    for name in CASES {
        let case = case(name);
        let neurons = &case.responses.neurons;
        let of = |value: fn(&gmatrix::structure::neurons::Neuron) -> f64| -> Vec<f64> {
            neurons.iter().map(value).collect()
        };
        assert_close(name, &of(|n| n.purity), &case.expected["purity"]);
        let frequencies = numbers(&case.expected["frequency"]);
        assert!(
            frequencies.iter().filter(|k| **k < 0.0).count() <= 2,
            "{name}: too many ties"
        );
        for (k, (neuron, expected)) in neurons.iter().zip(frequencies).enumerate() {
            assert!(
                expected < 0.0 || neuron.frequency as f64 == expected,
                "{name}: neuron {k}"
            );
        }
        assert_close(name, &of(|n| n.norm), &case.expected["norm"]);
    }
}

#[test]
fn weights_have_the_components_of_an_fft() {
    for name in CASES {
        let case = case(name);
        let (shape, group) = (&case.shape, &case.table.group);
        let embedding = weights::embedding(shape, &case.weights, group).unwrap();
        let unembedding = weights::unembedding(shape, &case.weights, group).unwrap();
        assert_close(name, &weights::spectrum(&embedding), &case.expected["embed"]);
        assert_close(
            name,
            &[weights::gini_of_components(&embedding)],
            &case.expected["gini_embed"],
        );
        assert_close(
            name,
            &[weights::gini_of_components(&unembedding)],
            &case.expected["gini_unembed"],
        );
        let ratio = weights::inverse_participation(shape, &case.weights, group);
        let expected = case.expected["inverse_participation"].as_f64();
        assert_eq!(ratio.is_some(), expected.is_some(), "{name}");
        if let Some(ratio) = ratio {
            assert_close(name, &[ratio], &case.expected["inverse_participation"]);
        }
    }
}

#[test]
fn the_algorithm_is_told_as_by_autograd() {
    for name in CASES {
        let case = case(name);
        let irrelevance = algorithm::distance_irrelevance(&case.table, &case.responses);
        assert_close(name, &[irrelevance], &case.expected["distance_irrelevance"]);
        let found = algorithm::gradient_symmetricity(&make, &case.table, &case.shape, &case.weights).unwrap();
        let cosines = &case.expected["gradient_cosines"];
        assert_eq!(found.is_some(), !cosines.is_null(), "{name}");
        if let Some(found) = found {
            let classes = case.responses.classes;
            let cosines = numbers(cosines);
            let triples = algorithm::triples(case.table.examples.n, classes);
            let chosen = triples
                .iter()
                .map(|(pair, class)| cosines[*pair as usize * classes + *class as usize]);
            let expected = chosen.sum::<f64>() / triples.len() as f64;
            assert!((found - expected).abs() < 1e-10, "{name}: {found}, expected {expected}");
        }
    }
}
