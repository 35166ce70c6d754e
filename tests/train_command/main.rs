//! The program with real runs and real files: trained to the end, stopped and resumed, measured, and given nonsense.

#![cfg(all(feature = "cli", unix))]

mod compare;
mod measured;
mod profile;
mod stopped;
mod structure;
mod wrong;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::record::{EndReason, read_metrics, read_run_info};
use gmatrix::task::Examples;

/// A run of a fraction of a second.
const TINY: [&str; 14] = [
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
    "stats.evaluate_every=5",
    "stats.gram_every=10",
    "stats.decompose_every=7",
];

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("gmatrix"));
    command.current_dir(dir).args(arguments).env_remove("GMATRIX_LOG");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn train(dir: &Path, out: &str, settings: &[&[&str]], more: &[&str]) -> Command {
    let mut arguments = vec!["train", "--quiet", "--out", out];
    for setting in settings.iter().copied().flatten() {
        arguments.extend(["--set", setting]);
    }
    arguments.extend(more);
    command(dir, &arguments)
}

fn resume(dir: &Path, run: &str) -> Command {
    command(dir, &["train", "--quiet", "--resume", run])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn expect(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_what_it_measured() {
    let dir = tempfile::tempdir().unwrap();
    let output = train(dir.path(), "run", &[&TINY], &[]).output().unwrap();
    expect(&output, 0);
    let said = text(&output.stdout);
    assert!(said.starts_with("run: all 60 steps made"), "{said}");
    assert_eq!(text(&output.stderr), "");
    let run = dir.path().join("run");
    for file in ["config.toml", "metrics.parquet", "run.json", "report.html"] {
        assert!(run.join(file).is_file(), "{file} is missing");
    }
    let expected: Vec<String> = [20, 40, 60]
        .iter()
        .flat_map(|step| {
            [
                format!("step-{step:08}.safetensors"),
                format!("step-{step:08}.state.safetensors"),
            ]
        })
        .collect();
    assert_eq!(checkpoints(&run), expected);
    let metrics = read_metrics(&run).unwrap();
    assert_eq!(metrics.steps, (0..60).collect::<Vec<_>>());
    for (column, every) in [
        ("batch_loss", 1),
        ("train_loss", 5),
        ("raw.erank_sigma", 10),
        ("ntcov.train_loss.test_loss", 7),
    ] {
        let steps: Vec<u64> = metrics.measured(column).map(|(step, _)| step).collect();
        assert_eq!(steps, (0..60).step_by(every).collect::<Vec<_>>(), "{column}");
    }
    let info = read_run_info(&run).unwrap();
    assert_eq!(
        info.ended.map(|ended| (ended.reason, ended.step)),
        Some((EndReason::Steps, 60))
    );
    assert_eq!(
        (info.backend.as_str(), info.precision.as_str(), info.samples),
        ("cpu", "f32", 29)
    );
    // The weights file stands alone: its metadata say what network it is of.
    let weights = run.join("checkpoints/step-00000060.safetensors");
    let (shape, weights) = read_weights(weights, Overrides::for_examples(&Examples::default(), None)).unwrap();
    assert_eq!(
        (shape.classes(), shape.d_vocab(), weights.len() as u64),
        (7, 8, info.parameters)
    );
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("</html>"));
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "run", &[&TINY], &[]).output().unwrap(), 0);
    let files = || {
        let names = ["config.toml", "metrics.parquet", "run.json", "report.html"];
        names.map(|name| fs::read(dir.path().join("run").join(name)).unwrap())
    };
    let before = files();
    let output = resume(dir.path(), "run").output().unwrap();
    expect(&output, 0);
    assert!(text(&output.stdout).starts_with("run: is finished: all 60 steps made"));
    assert!(files() == before);
    let again = train(dir.path(), "run", &[&TINY], &[]).output().unwrap();
    expect(&again, 1);
    assert!(text(&again.stderr).contains("is not empty"), "{again:?}");
    assert!(files() == before);
}

/// Memorises, then generalises, within a second or two.
#[test]
fn a_small_run_groks() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "task.p=23",
        "task.train_fraction=0.7",
        "model.d_model=32",
        "model.d_mlp=64",
        "optimizer.lr=1e-2",
        "train.steps=1500",
        "train.stop=grokked+20",
        "stats.gram_every=100",
        "stats.samples=64",
        "stats.decompose_every=0",
    ];
    let output = train(dir.path(), "run", &[&settings], &[]).output().unwrap();
    expect(&output, 0);
    assert!(
        text(&output.stdout).starts_with("run: grokked, ended at step"),
        "{output:?}"
    );
    let info = read_run_info(&dir.path().join("run")).unwrap();
    let (memorised, grokked) = (info.memorised_step.unwrap(), info.grokked_step.unwrap());
    assert!(memorised + 50 <= grokked && grokked < 1000, "{memorised} {grokked}");
    let ended = info.ended.unwrap();
    assert_eq!((ended.reason, ended.step), (EndReason::Grokked, grokked + 20));
    let metrics = read_metrics(&dir.path().join("run")).unwrap();
    let accuracy = |step: u64| metrics.measured("test_accuracy").find(|(s, _)| *s == step).unwrap().1;
    let (early, late) = (accuracy(memorised), accuracy(grokked));
    assert!(
        early < 0.7 && late > 0.9,
        "test accuracy {early} when memorised, {late} when grokked"
    );
}

#[test]
fn a_diverged_run_fails_with_its_last_finite_weights() {
    let dir = tempfile::tempdir().unwrap();
    let output = train(dir.path(), "run", &[&TINY, &["optimizer.lr=1e6"]], &[])
        .output()
        .unwrap();
    expect(&output, 1);
    let said = text(&output.stdout);
    assert!(
        said.contains("diverged at step") && said.contains("the last finite weights are kept"),
        "{said}"
    );
    let run = dir.path().join("run");
    let ended = read_run_info(&run).unwrap().ended.unwrap();
    assert_eq!(ended.reason, EndReason::Diverged);
    let weights = run.join(format!("checkpoints/step-{:08}.safetensors", ended.step));
    // Reading refuses weights that are not finite.
    read_weights(weights, Overrides::for_examples(&Examples::default(), None)).unwrap();
    let metrics = read_metrics(&run).unwrap();
    assert_eq!(metrics.steps, (0..ended.step).collect::<Vec<_>>());
    assert!(metrics.columns["batch_loss"].iter().all(|loss| loss.is_finite()));
    assert!(run.join("report.html").exists());
    let output = resume(dir.path(), "run").output().unwrap();
    expect(&output, 0);
    assert!(text(&output.stdout).starts_with("run: is finished: diverged at step"));
}

#[test]
fn a_run_is_the_same_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    for threads in ["1", "3"] {
        let mut command = train(dir.path(), threads, &[&TINY], &["--precision", "f64"]);
        expect(&command.env("RAYON_NUM_THREADS", threads).output().unwrap(), 0);
    }
    stopped::assert_same_data(&dir.path().join("1"), &dir.path().join("3"));
}

#[test]
fn the_plan_prints_and_nothing_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    for preset in ["quick", "nanda", "prenorm", "grokfast", "gromov"] {
        let output = command(dir.path(), &["train", "--print-plan", "--preset", preset])
            .output()
            .unwrap();
        expect(&output, 0);
        let plan = text(&output.stdout);
        for kernel in [
            "control",
            "matmul",
            "loss",
            "optimizer",
            "gram_tile",
            "spectrum",
            "decompose",
            "ledger",
            "row",
        ] {
            assert!(plan.contains(kernel), "{preset}: no {kernel} in\n{plan}");
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
