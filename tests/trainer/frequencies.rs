//! Properties that are read out of the logits of many samples: linear read-outs, frequencies, restricted losses.

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gmatrix::backend::Precision;
use gmatrix::config::{Config, LossKind, MlpInput, ModelConfig, ModelKind, TaskConfig, TaskOp};
use gmatrix::measure::{Measurement, Request, measure};
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::model::{Activation, Layout, ModelShape};
use gmatrix::random::{Purpose, Stream};
use gmatrix::record::{NamedTensor, TensorSet};
use gmatrix::task::{Cyclic, Examples, Task};
use gmatrix::trainer::Experiment;
use serde_json::Value;

use super::support::{alone, finish, trace, trainer, transformer};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/trainer/fixtures")
        .join(name)
}

fn operation(name: &str) -> TaskOp {
    [TaskOp::Add, TaskOp::Sub, TaskOp::Mul, TaskOp::Div]
        .into_iter()
        .find(|op| op.name() == name)
        .unwrap()
}

/// A network on a complete table, and what PyTorch found.
struct Case {
    shape: ModelShape,
    weights: Vec<f64>,
    examples: Examples,
    request: Request,
    values: Vec<f64>,
    matrix: Vec<Vec<f64>>,
}

fn case(name: &str, precision: Precision) -> Case {
    let dir = fixture(name);
    let expected: Value = serde_json::from_str(&fs::read_to_string(dir.join("expected.json")).unwrap()).unwrap();
    let examples = Examples::read(dir.join("data.safetensors")).unwrap();
    let (shape, weights) = read_weights(dir.join("weights.safetensors"), Overrides::default()).unwrap();
    let names: Vec<String> = serde_json::from_value(expected["names"].clone()).unwrap();
    let group = Cyclic::new(
        operation(expected["op"].as_str().unwrap()),
        u32::try_from(expected["p"].as_u64().unwrap()).unwrap(),
    );
    let place = |name: &String| name.replace("linear:", &format!("linear:{}/", dir.display()));
    Case {
        shape,
        weights,
        examples,
        request: Request {
            precision,
            loss: match expected["loss_kind"].as_str() {
                Some("mse") => LossKind::Mse,
                _ => LossKind::CrossEntropy,
            },
            properties: names.iter().map(|name| place(name).parse().unwrap()).collect(),
            group: Some(Arc::new(group.unwrap())),
            spectrum: false,
            gram: false,
            grams: Vec::new(),
            probes: None,
        },
        values: serde_json::from_value(expected["values"].clone()).unwrap(),
        matrix: serde_json::from_value(expected["matrix"].clone()).unwrap(),
    }
}

impl Case {
    fn measure(&self, weights: &[f64]) -> Measurement {
        measure(&self.shape, weights, &self.examples, &self.request).unwrap()
    }
}

#[test]
fn values_and_products_of_gradients_are_those_of_pytorch() {
    for name in ["mlp_add", "mlp_sub", "transformer_mul", "transformer_div"] {
        for (precision, bound) in [(Precision::F64, 1e-11), (Precision::F32, 2e-5)] {
            let case = case(name, precision);
            let found = case.measure(&case.weights);
            let (names, matrix) = found.ntcov.unwrap();
            assert_eq!(names.len(), case.values.len());
            for (a, x) in names.iter().enumerate() {
                // The coefficients of waves are sums of some hundred logits that mostly cancel.
                let (value, expected) = (found.values[a], case.values[a]);
                assert!(
                    (value - expected).abs() <= bound * expected.abs().max(1.0),
                    "{name} {x}: {value} {expected}"
                );
                for (b, y) in names.iter().enumerate() {
                    let scale = (case.matrix[a][a] * case.matrix[b][b]).sqrt();
                    let off = (matrix[a][b] - case.matrix[a][b]).abs();
                    assert!(
                        off <= bound * scale,
                        "{name} {precision:?} ntcov({x}, {y}) off by {off:e} of {scale:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn gradients_are_slopes_of_the_values() {
    let case = case("mlp_add", Precision::F64);
    let (names, matrix) = case.measure(&case.weights).ntcov.unwrap();
    let step = 1e-4;
    // One row per parameter: by how much each property changes, by central differences of fourth order.
    let slopes: Vec<Vec<f64>> = (0..case.weights.len())
        .map(|k| {
            let at = |by: f64| {
                let mut weights = case.weights.clone();
                weights[k] += by * step;
                case.measure(&weights).values
            };
            let (one, back, two, back_two) = (at(1.0), at(-1.0), at(2.0), at(-2.0));
            (0..names.len())
                .map(|x| (8.0 * (one[x] - back[x]) - (two[x] - back_two[x])) / (12.0 * step))
                .collect()
        })
        .collect();
    for (a, x) in names.iter().enumerate() {
        for (b, y) in names.iter().enumerate() {
            let product: f64 = slopes.iter().map(|row| row[a] * row[b]).sum();
            let scale = (matrix[a][a] * matrix[b][b]).sqrt();
            assert!(
                (matrix[a][b] - product).abs() <= 1e-8 * scale,
                "ntcov({x}, {y}) {} {product}",
                matrix[a][b]
            );
        }
    }
}

const HIDDEN: usize = 6;

/// Two layers without biases, the first on one-hot operands.
fn small_mlp() -> ModelConfig {
    ModelConfig {
        kind: ModelKind::Mlp,
        input: MlpInput::OneHot,
        hidden: vec![HIDDEN],
        activation: Activation::Quadratic,
        ..ModelConfig::default()
    }
}

/// A small MLP on all sums modulo p, with random weights.
fn sums(p: u32) -> (ModelShape, Vec<f64>, Examples) {
    let model = small_mlp();
    let config = TaskConfig {
        p,
        ..TaskConfig::default()
    };
    let task = Task::new(&config, &model).unwrap();
    let shape = ModelShape::from_config(&model, &task).unwrap();
    let noise = Stream::new(0, Purpose::InitialWeights);
    let weights = (0..Layout::new(&shape).len as u64)
        .map(|k| 0.7 * noise.normal(k))
        .collect();
    (shape, weights, together(&task))
}

/// The examples of both splits, in the order of their rows.
fn together(task: &Task) -> Examples {
    let mut rows: Vec<(u32, &Examples, usize)> = Vec::new();
    for (split, places) in [(&task.train, &task.train_rows), (&task.test, &task.test_rows)] {
        rows.extend(places.iter().enumerate().map(|(i, row)| (*row, split, i)));
    }
    rows.sort_unstable_by_key(|(row, ..)| *row);
    Examples {
        tokens: rows
            .iter()
            .flat_map(|(_, split, i)| &split.tokens[i * split.t..][..split.t])
            .copied()
            .collect(),
        labels: rows.iter().map(|(_, split, i)| split.labels[*i]).collect(),
        n: rows.len(),
        ..task.train.select(&[])
    }
}

#[test]
fn samples_of_several_bands_make_one_value() {
    let p = 67;
    let mut config = Config {
        task: TaskConfig {
            p,
            ..TaskConfig::default()
        },
        model: small_mlp(),
        ..Config::default()
    };
    config.train.steps = 1;
    config.stats.gram_every = 0.into();
    config.stats.decompose_every = 1.into();
    config.stats.properties = ["restricted_loss", "restricted_loss:5,9", "fourier:5"]
        .map(str::to_owned)
        .to_vec();
    let experiment = Experiment::new(&config).unwrap();
    assert!(experiment.task.train.n > gmatrix::data::BAND && experiment.task.test.n > gmatrix::data::BAND);
    let mut trainer = trainer(&experiment, Precision::F64, 1);
    trainer.fill(0, 0, &experiment).unwrap();
    let weights = trainer.weights(0).unwrap();
    let rows = finish(&mut trainer, 1);

    // By the definition: logits of every pair, z projected on waves of the sum, class by class, pair by pair.
    let p = p as usize;
    let (first, last) = weights.split_at(2 * p * HIDDEN);
    let logits: Vec<Vec<f64>> = (0..p * p)
        .map(|i| {
            let (a, b) = (i / p, i % p);
            let hidden = (0..HIDDEN).map(|h| (first[a * HIDDEN + h] + first[(p + b) * HIDDEN + h]).powi(2));
            let mut z = vec![0.0; p];
            for (h, x) in hidden.enumerate() {
                z.iter_mut().zip(&last[h * p..]).for_each(|(z, w)| *z += x * w);
            }
            z
        })
        .collect();
    let sum_of = |i: usize| (i / p + i % p) % p;
    let wave = |k: usize, angle: usize| (TAU * (k * angle % p) as f64 / p as f64).cos();
    let loss = |frequencies: &[usize]| {
        let mut total = 0.0;
        for s in 0..p {
            let mut z = vec![0.0; p];
            for (i, logits) in logits.iter().enumerate() {
                let waves: f64 = frequencies.iter().map(|&k| 2.0 * wave(k, s + p - sum_of(i))).sum();
                let weight = (1.0 + waves) / (p * p) as f64;
                z.iter_mut().zip(logits).for_each(|(z, logit)| *z += weight * logit);
            }
            total += z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[s];
        }
        total / p as f64
    };
    let all: Vec<usize> = (1..=p / 2).collect();
    let coefficient: f64 = logits
        .iter()
        .enumerate()
        .flat_map(|(i, z)| z.iter().enumerate().map(move |(c, z)| (sum_of(i) + p - c, z)))
        .map(|(angle, z)| z * wave(5, angle))
        .sum();
    let expected = [
        loss(&all),
        loss(&[5, 9]),
        coefficient / ((p * p * p) as f64 / 2.0).sqrt(),
    ];
    for (x, expected) in config.stats.properties.iter().zip(expected) {
        let place = trainer
            .columns()
            .iter()
            .position(|column| *column == format!("value.{x}"));
        let value = rows[0].values[place.unwrap()];
        assert!(
            (value - expected).abs() <= 1e-11 * expected.abs().max(1.0),
            "{x}: {value} {expected}"
        );
    }
}

/// A run whose properties are all of this kind, decomposed at every step, with a read-out of its 29 training samples.
fn config(dir: &Path) -> Config {
    let noise = Stream::new(1, Purpose::Sketch);
    let coefficients: Vec<f64> = (0..29 * 7).map(|k| noise.normal(k)).collect();
    let path = dir.join("read_outs.safetensors");
    TensorSet {
        tensors: vec![NamedTensor::new("margin", &[29, 7], &coefficients)],
        ..TensorSet::default()
    }
    .write(&path)
    .unwrap();
    let mut config = transformer();
    config.stats.decompose_every = 1.into();
    config.stats.properties = vec![
        "train_loss".to_owned(),
        "restricted_loss".to_owned(),
        "restricted_loss:1,3".to_owned(),
        "fourier:2".to_owned(),
        format!("linear:{}#margin", path.display()),
        "mean_log_odds_test".to_owned(),
    ];
    config
}

#[test]
fn changes_in_training_lead_from_value_to_value() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.optimizer.lr = 1e-6.into();
    let experiment = Experiment::new(&config).unwrap();
    let (run, columns) = alone(&experiment, Precision::F64);
    let place = |name: String| columns.iter().position(|column| *column == name).unwrap();
    for x in &config.stats.properties {
        let of = |part: &str, row: usize| run.rows[row].values[place(format!("{part}.{x}"))];
        let (mut second, mut all) = (0.0, 0.0);
        for row in 0..run.rows.len() - 1 {
            let (change, predicted) = (of("measured", row), of("predicted", row));
            let difference = of("value", row + 1) - of("value", row);
            let scale = of("value", row).abs().max(1.0);
            assert!(
                (change - difference).abs() <= 1e-13 * scale,
                "{x}: {change:e} {difference:e}"
            );
            second += (change - predicted).abs();
            all += change.abs();
        }
        // Steps so small that the first order is nearly all.
        assert!(second <= 0.01 * all, "{x}: {second:e} of {all:e}");
    }
    // The last weights measured from outside, on the whole table.
    let last = run.rows.last().unwrap();
    let names = &config.stats.properties[1..4];
    let request = Request {
        precision: Precision::F64,
        loss: LossKind::CrossEntropy,
        properties: names.iter().map(|x| x.parse().unwrap()).collect(),
        group: Some(Arc::new(Cyclic::new(TaskOp::Add, 7).unwrap())),
        spectrum: false,
        gram: false,
        grams: Vec::new(),
        probes: None,
    };
    let found = measure(&experiment.shape, &run.weights, &together(&experiment.task), &request).unwrap();
    for (x, value) in names.iter().zip(&found.values) {
        let of = |part: &str| last.values[place(format!("{part}.{x}"))];
        let inside = of("value") + of("measured");
        assert!(
            (value - inside).abs() <= 1e-12 * value.abs().max(1.0),
            "{x}: {value} {inside}"
        );
    }
}

#[test]
fn runs_beside_each_other_are_as_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = config(dir.path());
    let mut second = first.clone();
    second.task.seed = 8;
    let experiments = [first, second].map(|config| Experiment::new(&config).unwrap());
    for precision in [Precision::F32, Precision::F64] {
        let mut both = trainer(&experiments[0], precision, 2);
        for (slot, experiment) in experiments.iter().enumerate() {
            both.fill(slot, slot as u32, experiment).unwrap();
        }
        let rows = finish(&mut both, 2);
        for (slot, experiment) in experiments.iter().enumerate() {
            let (alone, columns) = alone(experiment, precision);
            let beside = trace(&mut both, slot, &rows);
            alone.assert_same(&beside, &columns, "beside another run");
        }
    }
}

#[test]
fn labels_play_no_part_in_restricted_losses() {
    let mut config = transformer();
    config.stats.decompose_every = 1.into();
    config.stats.properties = vec!["restricted_loss".to_owned()];
    config.train.steps = 1;
    let value = |config: &Config| {
        let (run, columns) = alone(&Experiment::new(config).unwrap(), Precision::F64);
        let place = columns
            .iter()
            .position(|column| column == "value.restricted_loss")
            .unwrap();
        run.rows[0].values[place]
    };
    let clean = value(&config);
    config.task.label_noise = 0.5;
    assert_eq!(value(&config).to_bits(), clean.to_bits());
}

#[test]
fn what_cannot_be_read_out_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let good = config(dir.path());
    let file = dir.path().join("read_outs.safetensors").display().to_string();
    for (property, expected) in [
        (
            format!("linear:test:{file}#margin"),
            "margin has shape [29, 7], expected [20, 7], the samples of the test split",
        ),
        (format!("linear:{file}#other"), "has no tensor other"),
        ("linear:absent.safetensors#x".to_owned(), "absent.safetensors: "),
    ] {
        let mut config = good.clone();
        config.stats.properties = vec![property];
        let message = Experiment::new(&config)
            .unwrap()
            .program()
            .expect_err(expected)
            .to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
    let (shape, weights, examples) = sums(5);
    let refused = |examples: &Examples, property: &str, group: Option<Cyclic>, expected: &str| {
        let request = Request {
            precision: Precision::F64,
            loss: LossKind::CrossEntropy,
            properties: vec![property.parse().unwrap()],
            group: group.map(Arc::new),
            spectrum: false,
            gram: false,
            grams: Vec::new(),
            probes: None,
        };
        let message = measure(&shape, &weights, examples, &request)
            .expect_err(expected)
            .to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    };
    let add = |p| Cyclic::new(TaskOp::Add, p).ok();
    refused(&examples, "fourier:1", None, "the operation of the task is not known");
    refused(&examples, "fourier:3", add(5), "frequency 3, expected at most 2");
    refused(
        &examples,
        "restricted_loss",
        add(4),
        "has operands 0 and 4, expected below p = 4",
    );
    refused(
        &examples.select(&[0, 1, 2]),
        "restricted_loss",
        add(5),
        "hold 3 of all 25 pairs",
    );
    refused(
        &examples.select(&[0, 1, 1]),
        "restricted_loss",
        add(5),
        "operands 0 and 1 stand there twice",
    );
    refused(&examples, "linear:test:x#y", None, "no test split");
}
