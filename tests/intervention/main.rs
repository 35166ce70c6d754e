//! Branches of runs: what each arm changes, that it changes nothing else, and how the branch goes on.

#![cfg(all(feature = "cli", unix))]

mod arms;
mod branches;
mod donors;
mod stages;
mod wrong;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::model::{Layout, ModelShape};
use gmatrix::record::{NamedTensor, TensorSet};

/// A run of a fraction of a second: 60 steps, checkpoints every 20.
const TINY: [&str; 13] = [
    "task.p=7",
    "task.train_fraction=0.6",
    "model.d_model=8",
    "model.heads=2",
    "model.d_mlp=12",
    "optimizer.batch=8",
    "train.steps=60",
    "train.stop=never",
    "train.checkpoint_every=20",
    "train.chunk=5",
    "stats.samples=10",
    "stats.gram_every={ log = 4 }",
    "stats.decompose_every=7",
];

fn gmatrix(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("gmatrix"));
    command.current_dir(dir).args(arguments).env_remove("GMATRIX_LOG");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap()
}

#[track_caller]
fn succeed(dir: &Path, arguments: &[&str]) -> String {
    let output = gmatrix(dir, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn train(dir: &Path, out: &str, settings: &[&[&str]]) {
    let mut arguments = vec!["train", "--quiet", "--backend", "cpu", "--out", out];
    for setting in settings.iter().copied().flatten() {
        arguments.extend(["--set", setting]);
    }
    succeed(dir, &arguments);
}

#[track_caller]
fn resume(dir: &Path, run: &str) {
    succeed(dir, &["train", "--quiet", "--resume", run]);
}

fn weights_file(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoints/step-{step:08}.safetensors"))
}

fn state_file(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoints/step-{step:08}.state.safetensors"))
}

fn state(run: &Path, step: u64) -> TensorSet {
    TensorSet::read(&state_file(run, step)).unwrap()
}

fn weights(run: &Path, step: u64) -> (ModelShape, Layout, Vec<f64>) {
    let (shape, weights) = read_weights(weights_file(run, step), Overrides::default()).unwrap();
    let layout = Layout::new(&shape);
    (shape, layout, weights)
}

fn numbers(tensor: &NamedTensor) -> Vec<f64> {
    tensor.elements::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Names of the tensors that differ between two states.
fn differences(a: &TensorSet, b: &TensorSet) -> BTreeSet<String> {
    let names = a.tensors.iter().chain(&b.tensors).map(|tensor| tensor.name.clone());
    names
        .filter(|name| {
            let of = |set: &TensorSet| set.tensors.iter().find(|tensor| tensor.name == *name).cloned();
            of(a) != of(b)
        })
        .collect()
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The places of a tensor of a layout.
fn places(layout: &Layout, name: &str) -> std::ops::Range<usize> {
    let tensor = layout.tensor(name);
    tensor.offset..tensor.offset + tensor.len()
}

/// A directory with two runs that know addition modulo 23, `host` and `donor`, of other seeds.
fn grokked() -> &'static Path {
    static RUNS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = RUNS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        for (out, seed) in [("host", "task.seed=0"), ("donor", "task.seed=1")] {
            let settings = [
                seed,
                "task.p=23",
                "task.train_fraction=0.7",
                "model.d_model=32",
                "model.d_mlp=64",
                "optimizer.lr=1e-2",
                "train.steps=620",
                "train.stop=never",
                "train.checkpoint_every=200",
                "train.weights_every=0",
                "stats.gram_every=0",
                "stats.decompose_every=0",
            ];
            train(dir.path(), out, &[&settings]);
        }
        dir
    });
    dir.path()
}
