//! Run directories: what they hold, what they refuse, and what is left after kills, damage and full disks.

#![cfg(feature = "record")]

mod fake;
mod survival;

use std::fs;
use std::sync::atomic::AtomicBool;

use fake::{FakeRun, config, outcome, start_or_resume, undisturbed};
use gmatrix::config::Config;
use gmatrix::record::{EndReason, Resumed, RunDirectory, RunInfo, TensorSet, read_metrics, read_run_info, record};

#[test]
fn a_run_leaves_its_configuration_metrics_checkpoints_and_info() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/run");
    let info = start_or_resume(&path, &mut FakeRun::new(), 95).unwrap();
    assert_eq!(info.ended.unwrap().reason, EndReason::Steps);
    assert_eq!(read_run_info(&path).unwrap(), info);
    assert_eq!((info.step, info.backend.as_str()), (95, "fake"));
    assert_eq!(Config::from_file(&path.join("config.toml")).unwrap(), config(95));

    let table = read_metrics(&path).unwrap();
    assert_eq!(table.steps, (0..95).collect::<Vec<u64>>());
    assert_eq!(
        table.columns.keys().collect::<Vec<_>>(),
        ["raw.rank", "sparse", "train_loss"]
    );
    assert_eq!(table.measured("sparse").count(), 14);
    assert!(table.columns["train_loss"].iter().all(|v| v.is_finite()));
    assert_eq!(
        fs::read_dir(path.join("metrics")).unwrap().count(),
        0,
        "all parts are joined"
    );

    let weights = TensorSet::read(&path.join("checkpoints/step-00000095.safetensors")).unwrap();
    assert_eq!(weights.metadata["config"], "{}");
    assert_eq!(weights.get("layers.0.W").unwrap().shape, [2, 2]);
}

#[test]
fn an_early_end_is_recorded_where_it_happened() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = FakeRun::new();
    run.groks_at = 33;
    let info = start_or_resume(dir.path(), &mut run, 95).unwrap();
    let ended = info.ended.unwrap();
    assert_eq!((ended.reason, ended.step), (EndReason::Grokked, 33));
    assert_eq!(read_metrics(dir.path()).unwrap().steps.len(), 33);
}

#[test]
fn an_interrupted_run_goes_on_and_a_finished_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let directory = RunDirectory::create(&path, &config(95)).unwrap();
    let interrupted = AtomicBool::new(true);
    let info = RunInfo::default();
    let info = record(
        &mut FakeRun::new(),
        &directory,
        &config(95).train,
        info,
        &mut (),
        &interrupted,
    )
    .unwrap();
    assert_eq!((info.ended.unwrap().reason, info.step), (EndReason::Interrupted, 4));
    drop(directory);

    let started = info.started;
    let info = start_or_resume(&path, &mut FakeRun::new(), 95).unwrap();
    assert_eq!((info.ended.unwrap().reason, info.started), (EndReason::Steps, started));
    for file in ["step-00000004.safetensors", "step-00000004.state.safetensors"] {
        fs::remove_file(path.join("checkpoints").join(file)).unwrap();
    }
    assert!(outcome(&path) == undisturbed(95), "the interrupt changed the data");
    assert!(matches!(RunDirectory::resume(&path).unwrap(), Resumed::Finished(_)));
}

#[test]
fn a_directory_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(dir.path(), &config(95)).unwrap();
    let message = RunDirectory::resume(dir.path()).unwrap_err().to_string();
    assert!(message.ends_with("is in use by another gmatrix process"), "{message}");
    drop(directory);
    RunDirectory::resume(dir.path()).unwrap();
}

#[test]
fn a_used_directory_is_refused_and_default_names_count_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "").unwrap();
    let message = RunDirectory::create(dir.path(), &config(95)).unwrap_err().to_string();
    assert!(message.contains("is not empty (it holds thesis.tex)"), "{message}");

    for expected in ["quick-0", "quick-0-2", "quick-0-3"] {
        let directory = RunDirectory::create_numbered(dir.path(), "quick-0", &config(95)).unwrap();
        assert_eq!(directory.path(), dir.path().join(expected));
    }
}

#[test]
fn a_directory_that_refuses_writes_is_an_error() {
    // Unlike a directory without write permission, /proc refuses root too.
    if cfg!(target_os = "linux") {
        let message = RunDirectory::create("/proc/run".as_ref(), &config(95))
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("/proc/run: cannot be created: "), "{message}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let message = RunDirectory::create(&dir.path().join("file/run"), &config(95))
        .unwrap_err()
        .to_string();
    assert!(message.contains("cannot be created: "), "{message}");
}

#[test]
fn a_directory_without_a_run_cannot_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let message = RunDirectory::resume(dir.path()).unwrap_err().to_string();
    assert!(
        message.ends_with("is not a run directory: it holds no config.toml"),
        "{message}"
    );
    let message = read_metrics(dir.path()).unwrap_err().to_string();
    assert!(message.contains("holds no metrics"), "{message}");
}

#[test]
fn columns_added_by_a_later_version_are_null_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = FakeRun::new();
    run.lost_at = 55;
    start_or_resume(dir.path(), &mut run, 95).unwrap_err();
    let mut run = FakeRun::with_columns(&["train_loss", "new", "raw.rank"]);
    start_or_resume(dir.path(), &mut run, 95).unwrap();
    let table = read_metrics(dir.path()).unwrap();
    assert_eq!(table.measured("sparse").last().unwrap().0, 49);
    assert_eq!(table.measured("new").next().unwrap().0, 56);
    assert_eq!(table.measured("train_loss").count(), 95);
}
