//! Against numpy: `tests/oracle/comparison.py`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gmatrix::backend::{Executor, Precision, cpu_executor};
use gmatrix::comparison::{Ground, compare};
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::model::{Layout, ModelShape};
use gmatrix::plan::Plan;
use gmatrix::task::Examples;
use serde_json::Value;

pub(super) const CASES: [&str; 4] = ["mlp_add", "mlp_sub", "transformer_mul", "transformer_div"];

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

pub(super) fn make(plan: Arc<Plan>) -> gmatrix::Result<Box<dyn Executor>> {
    cpu_executor(plan, Precision::F64)
}

pub(super) fn network(name: &str) -> (ModelShape, Vec<f64>, Examples) {
    let folder = tests().join("trainer/fixtures").join(name);
    let (shape, weights) = read_weights(folder.join("weights.safetensors"), Overrides::default()).unwrap();
    (shape, weights, Examples::read(folder.join("data.safetensors")).unwrap())
}

/// The second network of the pair.
pub(super) fn other(shape: &ModelShape, weights: &[f64]) -> Vec<f64> {
    let layout = Layout::new(shape);
    let mut turned = vec![0.0; weights.len()];
    for external in &layout.externals {
        for (i, at) in external.indices(&layout).enumerate() {
            let i = i as f64;
            turned[at] = weights[at] * i.cos() + 0.2 * (i + 1.0).sin();
        }
    }
    turned
}

#[test]
fn numbers_are_those_of_numpy() {
    for name in CASES {
        let (shape, weights, examples) = network(name);
        let second = other(&shape, &weights);
        let ground = Ground {
            examples: &examples,
            table: None,
            directions: 4,
        };
        let found = compare(&make, (&shape, &weights), (&shape, &second), &ground).unwrap();
        let text = fs::read_to_string(tests().join(format!("comparison/fixtures/{name}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in expected["scalars"].as_object().unwrap() {
            let expected = value.as_f64().unwrap();
            let value = found.scalars.get(key).unwrap_or_else(|| panic!("{name}: no {key}"));
            let error = (value.unwrap() - expected).abs();
            assert!(
                error <= 1e-9 * expected.abs().max(0.1),
                "{name} {key}: {value:?}, expected {expected}"
            );
        }
        for (space, angles) in expected["angles"].as_object().unwrap() {
            let expected: Vec<f64> = angles.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            let angles = &found.angles[space.as_str()];
            assert_eq!(angles.len(), expected.len(), "{name} {space}");
            for (a, b) in angles.iter().zip(&expected) {
                assert!(
                    (a - b).abs() < 1e-7,
                    "{name} {space}: {angles:?}, expected {expected:?}"
                );
            }
        }
    }
}
