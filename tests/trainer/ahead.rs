//! Chunks that are begun before the last one's rows are read leave the same as chunks one after the other.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gmatrix::backend::{Executor, Precision, Values, cpu_executor_for};
use gmatrix::config::{Config, Stop};
use gmatrix::plan::{BufferId, Plan, Segment};
use gmatrix::record::{EndReason, MetricsRow, Observer, Resumed, Run, RunDirectory, RunInfo, read_metrics, record};
use gmatrix::trainer::{Experiment, RecordedRun, Trainer};
use gmatrix::{ErrorKind, Result};

use crate::support::{alone, experiment, minibatch, trace, transformer};

/// The CPU as a device that goes on by itself: what the host sees of one is the order of work and copies.
struct Ahead(Box<dyn Executor>);

impl Executor for Ahead {
    fn plan(&self) -> &Plan {
        self.0.plan()
    }
    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        self.0.upload(slot, buffer, values)
    }
    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        self.0.download(slot, buffer)
    }
    fn is_asynchronous(&self) -> bool {
        true
    }
    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        self.0.submit(segments)
    }
    fn device(&self) -> String {
        self.0.device()
    }
    fn precision(&self) -> Precision {
        self.0.precision()
    }
}

fn trainer(like: &Experiment, slots: usize, is_ahead: bool) -> Trainer {
    let program = like.program().unwrap();
    let make = |plan: Arc<Plan>| cpu_executor_for(plan, Precision::F32, slots).unwrap();
    let executor = make(program.plan.clone());
    let executor = if is_ahead { Box::new(Ahead(executor)) } else { executor };
    Trainer::new(program, executor, slots)
}

fn ended(trainer: &Trainer, slots: usize) -> bool {
    (0..slots).all(|slot| trainer.status(slot).is_some_and(|status| status.end.is_some()))
}

#[test]
fn steps_ahead_leave_rows_weights_and_ends_as_they_are() {
    for config in [transformer(), minibatch()] {
        let experiment = experiment(&config);
        let mut short = experiment.clone();
        short.config.train.steps = 9;
        let (expected, columns) = alone(&experiment, Precision::F32);
        let mut trainer = trainer(&experiment, 2, true);
        trainer.fill(0, 0, &experiment).unwrap();
        // Its end is known two chunks too late.
        trainer.fill(1, 1, &short).unwrap();
        let mut rows = Vec::new();
        while !ended(&trainer, 2) {
            rows.extend(trainer.run_chunk_ahead(4, 4).unwrap());
        }
        let found = trace(&mut trainer, 0, &rows);
        found.assert_same(&expected, &columns, "ahead");
        let of_short = rows.iter().filter(|row| row.run == 1).count();
        assert_eq!((of_short, trainer.status(1).unwrap().step), (9, 9));
        let (expected, _) = alone(&short, Precision::F32);
        assert_eq!(trace(&mut trainer, 1, &rows).weights, expected.weights);
    }
}

#[test]
fn slots_cannot_change_under_steps_ahead() {
    let experiment = experiment(&transformer());
    let mut trainer = trainer(&experiment, 2, true);
    trainer.fill(0, 0, &experiment).unwrap();
    trainer.run_chunk_ahead(3, 5).unwrap();
    let refused = |result: Result<()>| {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Shape(_)), "{error}");
        assert!(error.to_string().contains("5 steps were begun ahead"), "{error}");
    };
    refused(trainer.fill(1, 1, &experiment));
    let weights = trainer.weights(0).unwrap();
    refused(trainer.set_weights(0, &weights));
    refused(trainer.restore(0, &[]));
    refused(trainer.run_chunk(4).map(|_| ()));
    // What was begun is not lost.
    assert_eq!(trainer.run_chunk(5).unwrap().len(), 5);
    trainer.fill(1, 1, &experiment).unwrap();
}

/// Sets a flag at a step, as Ctrl-C does.
struct InterruptAt<'a>(u64, &'a AtomicBool);

impl Observer for InterruptAt<'_> {
    fn rows(&mut self, rows: &[MetricsRow], _: &[String]) {
        if rows.iter().any(|row| row.step >= self.0) {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

/// Records a run, or goes on with it; returns where it ended.
fn recorded(dir: &Path, config: &Config, is_ahead: bool, interrupt_at: u64) -> RunInfo {
    let experiment = experiment(config);
    let mut run = RecordedRun::new(trainer(&experiment, 1, is_ahead), &experiment, "cpu").unwrap();
    let (directory, info) = if dir.exists() {
        let Resumed::Unfinished(found) = RunDirectory::resume(dir).unwrap() else {
            panic!("the run was not over")
        };
        run.restore(&found.checkpoint.unwrap().state).unwrap();
        (found.directory, found.info)
    } else {
        (RunDirectory::create(dir, config).unwrap(), RunInfo::default())
    };
    let interrupted = AtomicBool::new(false);
    let mut observer = InterruptAt(interrupt_at, &interrupted);
    record(&mut run, &directory, &config.train, info, &mut observer, &interrupted).unwrap()
}

/// Rows and files of a run, but for what depends on the time.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for part in ["checkpoints", "weights"] {
        let Ok(entries) = std::fs::read_dir(dir.join(part)) else {
            continue;
        };
        files.extend(entries.map(|entry| {
            let path = entry.unwrap().path();
            (
                format!("{part}/{}", path.file_name().unwrap().display()),
                std::fs::read(&path).unwrap(),
            )
        }));
    }
    files.push(("metrics".into(), std::fs::read(dir.join("metrics.parquet")).unwrap()));
    files.sort();
    files
}

#[test]
fn recorded_runs_ahead_leave_the_same_files() {
    let mut config = transformer();
    config.train.steps = 60;
    config.train.chunk = 4;
    config.train.checkpoint_every = 30;
    config.train.weights_every = 14;
    let mut early = config.clone();
    early.train.stop = Stop::Grokked { plus: 3 };
    let mut diverging = config.clone();
    diverging.optimizer.lr = 1e20.into();
    diverging.optimizer.warmup = 10;
    for (name, config) in [("steps", config), ("grokked", early), ("diverging", diverging)] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let one = recorded(&path("one"), &config, false, u64::MAX);
        let other = recorded(&path("other"), &config, true, u64::MAX);
        assert_eq!(one.ended, other.ended, "{name}");
        assert!(files(&path("one")) == files(&path("other")), "{name}: files differ");
        if name == "diverging" {
            assert_eq!(one.ended.map(|ended| ended.reason), Some(EndReason::Diverged));
            continue;
        }
        // Interrupted with a chunk on its way, it stops behind that chunk, and goes on from there.
        let stopped = recorded(&path("stopped"), &config, true, 17).ended.unwrap();
        assert_eq!(stopped.reason, EndReason::Interrupted, "{name}");
        assert!(stopped.step <= 24, "{name}: stopped at {}", stopped.step);
        recorded(&path("stopped"), &config, true, u64::MAX);
        let last = |dir: &str| {
            let files = files(&path(dir)).into_iter();
            files.filter(|(file, _)| file.contains("step-00000060") || file.starts_with("weights"))
        };
        assert!(
            last("stopped").eq(last("one")),
            "{name}: files of the resumed run differ"
        );
        let rows = |dir: &str| {
            let table = read_metrics(&path(dir)).unwrap();
            let bits = |column: &Vec<f64>| column.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            (table.steps, table.columns.values().map(bits).collect::<Vec<_>>())
        };
        assert!(rows("stopped") == rows("one"), "{name}: rows of the resumed run differ");
    }
}
