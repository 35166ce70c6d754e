//! What users get wrong: one line that names the culprit, the right exit code, and no panic.

use std::fs;
use std::path::{Path, PathBuf};

use gmatrix::record::{NamedTensor, TensorSet};
use gmatrix::task::Examples;

use super::{TINY, command, expect, resume, text, train};

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/transformer_1l_relu_random")
        .join(file)
}

/// Exit code and the one line.
#[track_caller]
fn refusal(mut command: std::process::Command) -> (i32, String) {
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(text(&output.stdout), "", "{said}");
    assert!(
        said.starts_with("error: ") && said.ends_with('\n') && said.lines().count() == 1,
        "{said}"
    );
    (output.status.code().unwrap(), said.trim_end().to_owned())
}

#[track_caller]
fn assert_refused(command: std::process::Command, code: i32, expected: &str) {
    let (found, said) = refusal(command);
    assert!(said.contains(expected), "{said}, expected {expected}");
    assert_eq!(found, code, "{said}");
}

#[test]
fn settings_that_cannot_be_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        ("task.p=1", "task.p = 1, expected"),
        ("task.p=5000", "task.p = 5000, expected"),
        ("task.p=seven", "task.p"),
        ("task.modulus=7", "unknown key task.modulus"),
        ("task.train_fraction=0", "task.train_fraction = 0"),
        ("task.train_fraction=0.01", "leaves 0 of 49 examples"),
        ("model.heads=0", "model.heads = 0"),
        ("model.d_mlp=-3", "model.d_mlp"),
        ("model.activation=tanh", "model.activation"),
        (
            "model.attention_mix=1.1",
            "model.attention_mix = 1.1, expected a number from 0 to 1",
        ),
        (
            "model.attention_mix={ steps = [0, 9], values = [0, -1] }",
            "model.attention_mix",
        ),
        ("optimizer.lr=nan", "optimizer.lr"),
        ("optimizer.lr=-1", "optimizer.lr = -1"),
        ("optimizer.beta1=1", "optimizer.beta1 = 1"),
        (
            "optimizer.batch=30",
            "optimizer.batch = 30, expected at most the 29 examples",
        ),
        ("optimizer.batch=0", "optimizer.batch"),
        ("train.steps=0", "train.steps = 0"),
        ("train.chunk=0", "train.chunk = 0"),
        ("train.stop=later", "train.stop"),
        ("stats.samples=0", "stats.samples"),
        ("stats.spectrum=power", "stats.spectrum"),
        (
            "stats.properties=[\"loss\"]",
            "expected \"train_loss\" or \"test_loss\"",
        ),
        (
            "stats.properties=[\"logit:0:7\"]",
            "has class 7, expected below task.p = 7",
        ),
        (
            "stats.properties=[\"log_odds:test:20\"]",
            "has index 20, expected below 20",
        ),
    ] {
        assert_refused(train(dir.path(), "run", &[&TINY, &[setting]], &[]), 2, expected);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Ten samples of two tokens with labels 0 to 2.
fn data(n: usize) -> TensorSet {
    let tokens: Vec<i64> = (0..2 * n as i64).map(|k| k % 5).collect();
    let labels: Vec<i64> = (0..n as i64).map(|k| k % 3).collect();
    TensorSet {
        tensors: vec![
            NamedTensor::new("tokens", &[n, 2], &tokens),
            NamedTensor::new("labels", &[n], &labels),
        ],
        ..TensorSet::default()
    }
}

/// Of a file the sizes are known only once it is read.
#[test]
fn settings_that_do_not_suit_the_data_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    data(10).write(&dir.path().join("d.safetensors")).unwrap();
    data(0).write(&dir.path().join("none.safetensors")).unwrap();
    let file = [
        "task.op=file",
        "task.file=d.safetensors",
        "train.steps=3",
        "optimizer.batch=full",
    ];
    for (settings, code, expected) in [
        (&["optimizer.batch=7"][..], 2, "optimizer.batch = 7"),
        (&["stats.properties=[\"logit:0:3\"]"], 2, "logit:0:3"),
        (&["stats.properties=[\"log_odds:6\"]"], 2, "log_odds:6"),
        (&["stats.properties=[\"prob:test:4:1\"]"], 2, "prob:test:4:1"),
        (
            &["model.kind=mlp", "model.input=float"],
            2,
            "model.input does not suit data with tokens",
        ),
        (&["task.train_fraction=0.01"], 2, "leaves 0 of 10 examples"),
        (
            &["task.file=none.safetensors"],
            1,
            "none.safetensors: tokens has shape [0, 2]",
        ),
        (&["task.file=absent.safetensors"], 1, "absent.safetensors: "),
    ] {
        assert_refused(train(dir.path(), "run", &[&TINY, &file, settings], &[]), code, expected);
    }
    assert!(!dir.path().join("run").exists());
    expect(&train(dir.path(), "run", &[&TINY, &file], &[]).output().unwrap(), 0);
}

#[test]
fn directories_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "not a directory").unwrap();
    assert_refused(train(dir.path(), "file", &[&TINY], &[]), 1, "file: cannot be created");
    assert_refused(
        train(dir.path(), "file/run", &[&TINY], &[]),
        1,
        "file/run: cannot be created",
    );
    assert_refused(resume(dir.path(), "file"), 1, "file: is not a run directory");
    assert_refused(resume(dir.path(), "absent"), 1, "absent: is not a run directory");
    assert_refused(command(dir.path(), &["report", "absent"]), 1, "absent");
    assert_refused(command(dir.path(), &["report", "file"]), 1, "file");
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_refused(command(dir.path(), &["report", "empty"]), 1, "empty");
}

#[test]
fn a_damaged_state_is_named_and_a_run_keeps_its_precision() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "run", &[&TINY], &[]).output().unwrap(), 0);
    // As if killed after step 40.
    let run = dir.path().join("run");
    for file in [
        "run.json",
        "checkpoints/step-00000060.safetensors",
        "checkpoints/step-00000060.state.safetensors",
    ] {
        fs::remove_file(run.join(file)).unwrap();
    }
    let state = run.join("checkpoints/step-00000040.state.safetensors");
    let whole = fs::read(&state).unwrap();
    fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    assert_refused(resume(dir.path(), "run"), 1, "step-00000040.state.safetensors: ");
    let mut other = TensorSet::read(&run.join("checkpoints/step-00000020.state.safetensors")).unwrap();
    other.tensors.retain(|tensor| tensor.name != "moments");
    other.write(&state).unwrap();
    assert_refused(resume(dir.path(), "run"), 1, "the state has no buffer moments");
    fs::write(&state, &whole).unwrap();
    expect(&resume(dir.path(), "run").output().unwrap(), 0);
}

fn measure(dir: &Path, weights: &Path, data: &Path, more: &[&str]) -> std::process::Command {
    let mut command = command(dir, &["measure"]);
    command.arg("--weights").arg(weights).arg("--data").arg(data).args(more);
    command
}

#[test]
fn weights_and_data_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [weights, samples] = ["weights", "data"].map(|file| fixture(&format!("{file}.safetensors")));
    let written = |name: &str, set: &TensorSet| {
        let path = dir.path().join(name);
        set.write(&path).unwrap();
        path
    };
    let refused = |weights: &Path, data: &Path, more: &[&str], code: i32, expected: &str| {
        assert_refused(measure(dir.path(), weights, data, more), code, expected);
    };

    let mut broken = TensorSet::read(&weights).unwrap();
    let w_u = broken
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "unembed.W_U")
        .unwrap();
    w_u.bytes[..8].copy_from_slice(&f64::NAN.to_le_bytes());
    refused(&written("nan", &broken), &samples, &[], 1, "unembed.W_U[0, 0] is NaN");
    let w_u = broken
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "unembed.W_U")
        .unwrap();
    w_u.shape.reverse();
    refused(&written("shape", &broken), &samples, &[], 1, "unembed.W_U has shape");
    let whole = fs::read(&weights).unwrap();
    let cut = dir.path().join("cut");
    fs::write(&cut, &whole[..whole.len() - 9]).unwrap();
    refused(&cut, &samples, &[], 1, "cut: ");
    refused(&weights, &cut, &[], 1, "cut: ");
    refused(&samples, &samples, &[], 1, "has neither blocks.0.attn.W_Q");
    refused(
        &weights,
        &weights,
        &[],
        1,
        "has no tensor tokens [N, T] or inputs [N, d]",
    );
    refused(&weights, &dir.path().join("absent"), &[], 1, "absent: ");

    let examples = Examples::read(&samples).unwrap();
    let (n, t) = (examples.n, examples.t);
    let tokens: Vec<i64> = examples.tokens.iter().map(|&x| x.into()).collect();
    let labels: Vec<i64> = examples.labels.iter().map(|&x| x.into()).collect();
    let set = |tokens: NamedTensor, labels: NamedTensor| TensorSet {
        tensors: vec![tokens, labels],
        ..TensorSet::default()
    };
    let token = |x: i64| {
        let mut tokens = tokens.clone();
        tokens[t + 1] = x;
        set(
            NamedTensor::new("tokens", &[n, t], &tokens),
            NamedTensor::new("labels", &[n], &labels),
        )
    };
    refused(&weights, &written("large", &token(99)), &[], 1, "tokens[1, 1] is 99");
    refused(&weights, &written("negative", &token(-1)), &[], 1, "negative: ");
    let short = set(
        NamedTensor::new("tokens", &[n, t], &tokens),
        NamedTensor::new("labels", &[n - 1], &labels[1..]),
    );
    refused(
        &weights,
        &written("short", &short),
        &[],
        1,
        &format!("has {n} rows of tokens but {} labels", n - 1),
    );
    let none = set(
        NamedTensor::new::<i64>("tokens", &[0, t], &[]),
        NamedTensor::new::<i64>("labels", &[0], &[]),
    );
    refused(&weights, &written("none", &none), &[], 1, "none: tokens has shape [0,");
    let narrow = set(
        NamedTensor::new("tokens", &[n * t, 1], &tokens),
        NamedTensor::new("labels", &[n * t], &vec![0i64; n * t]),
    );
    refused(
        &weights,
        &written("narrow", &narrow),
        &[],
        1,
        "tokens have 1 columns, the network takes",
    );
    let real = |x: f64| {
        let mut inputs = vec![0.5; n * 3];
        inputs[4] = x;
        set(
            NamedTensor::new("inputs", &[n, 3], &inputs),
            NamedTensor::new("labels", &[n], &labels),
        )
    };
    refused(
        &weights,
        &written("real", &real(0.5)),
        &[],
        1,
        "has real inputs, but the network takes tokens",
    );
    refused(
        &weights,
        &written("nan-input", &real(f64::NAN)),
        &[],
        1,
        "inputs[1, 1] is NaN",
    );

    refused(
        &weights,
        &samples,
        &["--property", "logit:0:99"],
        2,
        "property logit:0:99: class 99",
    );
    refused(
        &weights,
        &samples,
        &["--property", "log_odds:99"],
        2,
        "property log_odds:99: index 99, expected below",
    );
    refused(
        &weights,
        &samples,
        &["--activation", "gelu"],
        1,
        "contradicts the requested gelu",
    );
    refused(
        &weights,
        &samples,
        &["--gram", "absent/k"],
        1,
        "absent/k: cannot be written",
    );
    refused(&weights, &samples, &["--json", "absent/j"], 1, "absent/j: ");
}
