//! `gmatrix measure` on the oracle's networks, and on those exported by TransformerLens.

use std::path::{Path, PathBuf};

use gmatrix::record::{TensorSet, read_metrics};
use serde_json::Value;

use super::{TINY, command, expect, text, train};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn numbers(path: &Path, name: &str) -> Vec<f64> {
    TensorSet::read(path).unwrap().get(name).unwrap().elements().unwrap()
}

#[track_caller]
fn close(found: &[f64], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= bound * largest, "{what}: {f:e}, expected {e:e}");
    }
}

#[test]
fn measure_prints_what_the_oracle_expects() {
    for (name, loss) in [
        ("transformer_2l_gelu_pre_random", "cross_entropy"),
        ("mlp_one_hot_quadratic_mse", "mse"),
        ("mlp_float_relu_zero", "cross_entropy"),
    ] {
        let case = fixtures().join(name);
        let expected: Value =
            serde_json::from_str(&std::fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let [weights, data] = ["weights", "data"].map(|file| case.join(format!("{file}.safetensors")));
        let mut measure = command(dir.path(), &["measure", "--loss", loss, "--json", "-"]);
        measure.arg("--weights").arg(weights).arg("--data").arg(data);
        measure.args(["--gram", "k.safetensors", "--per-sample-gradients", "g.safetensors"]);
        let names: Vec<&str> = expected["ntcov"]["names"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_str().unwrap())
            .collect();
        for property in &names {
            measure.args(["--property", property]);
        }
        let output = measure.output().unwrap();
        expect(&output, 0);
        assert_eq!(text(&output.stderr), "");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        for key in [
            "loss",
            "accuracy",
            "gradient_norm",
            "per_sample_norm_max",
            "coherence",
            "raw.erank_sigma",
            "mean_cosine",
        ] {
            let (f, e) = (found[key].as_f64().unwrap(), expected[key].as_f64().unwrap());
            assert!((f - e).abs() <= 1e-9 * e.abs(), "{name} {key}: {f}, expected {e}");
        }
        assert_eq!(found["zero_gradients"].as_f64(), expected["zero_gradients"].as_f64());
        assert_eq!(found["ntcov"]["names"], expected["ntcov"]["names"]);
        let matrix = |json: &Value| -> Vec<f64> {
            let rows: Vec<Vec<f64>> = serde_json::from_value(json["ntcov"]["matrix"].clone()).unwrap();
            rows.concat()
        };
        close(&matrix(&found), &matrix(&expected), 1e-11, name);
        let oracle = case.join("expected.safetensors");
        close(
            &numbers(&dir.path().join("k.safetensors"), "gram"),
            &numbers(&oracle, "gram"),
            1e-11,
            name,
        );
        // The mean of the rows that were written is the oracle's mean gradient.
        let gradients = TensorSet::read(&dir.path().join("g.safetensors")).unwrap();
        assert!(!gradients.tensors.is_empty());
        for tensor in &gradients.tensors {
            let mean = numbers(&oracle, &tensor.name.replace("gradients/", "mean_gradient/"));
            let rows: Vec<f64> = tensor.elements().unwrap();
            let n = tensor.shape[0];
            let sum = |k: usize| rows.iter().skip(k).step_by(mean.len()).sum::<f64>() / n as f64;
            let found: Vec<f64> = (0..mean.len()).map(sum).collect();
            close(&found, &mean, 1e-9, &tensor.name);
        }
    }
}

#[test]
fn measure_reads_what_transformer_lens_exports() {
    for (name, more) in [
        ("transformer_lens", &[][..]),
        ("transformer_lens_pre", &["--activation", "gelu"][..]),
    ] {
        let expected = fixtures().join(format!("{name}_expected.safetensors"));
        let dir = tempfile::tempdir().unwrap();
        for (precision, bound) in [("f64", 1e-11), ("f32", 1e-5)] {
            let mut measure = command(dir.path(), &["measure", "--precision", precision, "--json", "-"]);
            measure
                .arg("--weights")
                .arg(fixtures().join(format!("{name}.safetensors")));
            measure
                .arg("--data")
                .arg(&expected)
                .args(["--gram", "k.safetensors"])
                .args(more);
            let output = measure.output().unwrap();
            expect(&output, 0);
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            let losses = numbers(&expected, "loss");
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            close(&[found["loss"].as_f64().unwrap()], &[mean], bound, name);
            // TransformerLens has gradients of attention and output biases too, which are no parameters here: what they
            // add to the Gram matrix is a Gram matrix of its own.
            let (gram, all) = (
                numbers(&dir.path().join("k.safetensors"), "gram"),
                numbers(&expected, "gram"),
            );
            let n = losses.len();
            let rest = faer::Mat::from_fn(n, n, |i, j| all[i * n + j] - gram[i * n + j]);
            let values = rest.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
            let largest = all.iter().fold(0.0, |m: f64, x| m.max(*x));
            assert!(
                values[0] > -bound * largest && values[n - 1] < largest,
                "{name}: {values:?}"
            );
        }
    }
}

#[test]
fn without_json_a_table_is_printed() {
    let case = fixtures().join("mlp_float_relu_zero");
    let dir = tempfile::tempdir().unwrap();
    let mut measure = command(dir.path(), &["measure"]);
    measure.arg("--weights").arg(case.join("weights.safetensors"));
    measure.arg("--data").arg(case.join("data.safetensors"));
    let output = measure.output().unwrap();
    expect(&output, 0);
    let table = text(&output.stdout);
    let value = |key: &str| table.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    assert_eq!(value("zero_gradients "), Some("1.0"), "{table}");
    assert_eq!(value("n_batch "), Some("13.0"), "{table}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn properties_of_frequencies_need_the_operation_and_give_their_values() {
    let dir = tempfile::tempdir().unwrap();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trainer/fixtures/transformer_div");
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
    let measure = |arguments: &[&str]| {
        let mut measure = command(dir.path(), &["measure", "--json", "-"]);
        for name in ["weights", "data"] {
            measure
                .arg(format!("--{name}"))
                .arg(case.join(format!("{name}.safetensors")));
        }
        measure.args(arguments).output().unwrap()
    };
    let names = ["restricted_loss:1,3", "fourier:1"];
    let ask = ["--property", names[0], "--property", names[1]];
    let output = measure(&[&ask[..], &["--op", "div", "--p", "7"]].concat());
    expect(&output, 0);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all: Vec<String> = serde_json::from_value(expected["names"].clone()).unwrap();
    for (place, name) in names.iter().enumerate() {
        let of = all.iter().position(|x| x == name).unwrap();
        let value = expected["values"][of].as_f64().unwrap();
        close(
            &[found["ntcov"]["values"][place].as_f64().unwrap()],
            &[value],
            1e-10,
            name,
        );
    }
    for (arguments, said) in [
        (
            &ask[..],
            "--property restricted_loss:1,3: is about the frequencies of an operation, expected --op and --p",
        ),
        (
            &[&ask[..], &["--op", "div", "--p", "9"]].concat()[..],
            "products modulo 9 form no cyclic group",
        ),
        (
            &[&ask[..], &["--op", "add", "--p", "7"]].concat()[..],
            "examples hold 42 of all 49 pairs, expected each once",
        ),
        (
            &["--property", "mean_log_odds_test"][..],
            "measure knows no splits, expected mean_log_odds_train",
        ),
    ] {
        let output = measure(arguments);
        expect(&output, 2);
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

#[test]
fn the_examples_of_a_run_can_be_measured() {
    let dir = tempfile::tempdir().unwrap();
    let noise = [
        "task.label_noise=0.2",
        "train.steps=21",
        "stats.decompose_every=1",
        "stats.properties=[\"restricted_loss\"]",
    ];
    expect(&train(dir.path(), "run", &[&TINY, &noise], &[]).output().unwrap(), 0);
    for (split, n, wrong) in [("train", 29, 5), ("test", 20, 0), ("all", 49, 5)] {
        let export = [
            "export",
            "--examples",
            "run",
            "--split",
            split,
            "--out",
            "d.safetensors",
        ];
        expect(&command(dir.path(), &export).output().unwrap(), 0);
        let file = TensorSet::read(&dir.path().join("d.safetensors")).unwrap();
        let words = |name: &str| file.get(name).unwrap().elements::<u32>().unwrap();
        let noisy = file.get("noisy").unwrap().elements::<u8>().unwrap();
        let (tokens, rows, labels) = (words("tokens"), words("rows"), words("labels"));
        assert_eq!((labels.len(), noisy.iter().filter(|x| **x == 1).count()), (n, wrong));
        for (i, pair) in tokens.chunks_exact(3).enumerate() {
            assert_eq!(rows[i], 7 * pair[0] + pair[1]);
            assert_eq!(labels[i] != (pair[0] + pair[1]) % 7, noisy[i] == 1);
        }
    }
    let measured = |weights: &str| {
        let mut measure = command(dir.path(), &["measure", "--data", "d.safetensors", "--json", "-"]);
        measure.args([
            "--weights",
            weights,
            "--op",
            "add",
            "--p",
            "7",
            "--property",
            "restricted_loss",
        ]);
        let output = measure.output().unwrap();
        expect(&output, 0);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        found["ntcov"]["values"][0].as_f64().unwrap()
    };
    // The run's own value, in f32, at the step of a checkpoint.
    let metrics = read_metrics(&dir.path().join("run")).unwrap();
    let mut values = metrics.measured("value.restricted_loss");
    let (_, inside) = values.find(|(step, _)| *step == 20).unwrap();
    let value = measured("run/checkpoints/step-00000020.safetensors");
    close(&[inside], &[value], 1e-5, "restricted loss");
}

#[test]
fn weights_say_how_their_attention_is_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let ramp = [
        "model.attention_mix={ steps = [0, 40], values = [0.2, 1.0] }",
        "train.steps=21",
        "train.checkpoint_every=10",
        "stats.decompose_every=1",
    ];
    expect(&train(dir.path(), "run", &[&TINY, &ramp], &[]).output().unwrap(), 0);
    let export = [
        "export",
        "--examples",
        "run",
        "--split",
        "train",
        "--out",
        "d.safetensors",
    ];
    expect(&command(dir.path(), &export).output().unwrap(), 0);
    let checkpoint = "run/checkpoints/step-00000010.safetensors";
    let loss = |more: &[&str]| {
        let measure = [
            "measure",
            "--data",
            "d.safetensors",
            "--json",
            "-",
            "--weights",
            checkpoint,
        ];
        let output = command(dir.path(), &[&measure, more].concat()).output().unwrap();
        expect(&output, 0);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        found["loss"].as_f64().unwrap()
    };
    let metrics = read_metrics(&dir.path().join("run")).unwrap();
    let (_, inside) = metrics
        .measured("value.train_loss")
        .find(|(step, _)| *step == 10)
        .unwrap();
    let own = loss(&[]);
    close(&[own], &[inside], 1e-5, "the loss at the share of its step");
    assert_eq!(loss(&["--attention-mix", "0.4"]), own);
    assert!((loss(&["--attention-mix", "0"]) - own).abs() > 1e-4 * own);
    // What is exported for TransformerLens says so, too.
    let export = ["export", "--transformer-lens", checkpoint, "--out", "w.safetensors"];
    expect(&command(dir.path(), &export).output().unwrap(), 0);
    let exported = TensorSet::read(&dir.path().join("w.safetensors")).unwrap();
    assert!(exported.metadata["config"].contains("\"attention_mix\":0.4"));
    for (weights, share, said) in [
        (checkpoint, "1.5", "expected a number from 0 to 1"),
        (checkpoint, "much", "expected a number from 0 to 1"),
    ] {
        let measure = [
            "measure",
            "--data",
            "d.safetensors",
            "--weights",
            weights,
            "--attention-mix",
            share,
        ];
        let output = command(dir.path(), &measure).output().unwrap();
        expect(&output, 2);
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    let case = fixtures().join("mlp_float_relu_random");
    let mut measure = command(dir.path(), &["measure", "--attention-mix", "0.5"]);
    measure.arg("--weights").arg(case.join("weights.safetensors"));
    measure.arg("--data").arg(case.join("data.safetensors"));
    let output = measure.output().unwrap();
    expect(&output, 2);
    assert!(text(&output.stderr).contains("an MLP, which has no attention"));
}
