//! Interrupted, terminated, killed: a resumed run has the data of one that was never stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gmatrix::record::{EndReason, MetricsTable, RunInfo, read_metrics, read_run_info};

use super::{TINY, checkpoints, expect, resume, text, train};

/// With [`TINY`]: long enough to be stopped on its way.
const LONGER: [&str; 3] = ["train.steps=2500", "train.checkpoint_every=50", "stats.gram_every=25"];

/// All metrics to the bit.
fn bits(table: &MetricsTable) -> (Vec<u64>, BTreeMap<String, Vec<u64>>) {
    let columns = table.columns.iter();
    let columns = columns.map(|(name, values)| (name.clone(), values.iter().map(|v| v.to_bits()).collect()));
    (table.steps.clone(), columns.collect())
}

/// What two runs of one configuration must share: metrics, weights, transitions, end.
pub fn assert_same_data(a: &Path, b: &Path) {
    let (steps, columns) = bits(&read_metrics(a).unwrap());
    let (other_steps, other_columns) = bits(&read_metrics(b).unwrap());
    assert_eq!(steps, other_steps, "steps");
    assert_eq!(
        columns.keys().collect::<Vec<_>>(),
        other_columns.keys().collect::<Vec<_>>()
    );
    for (name, values) in &columns {
        assert!(*values == other_columns[name], "column {name} differs");
    }
    let facts = |info: RunInfo| {
        (
            info.step,
            info.ended,
            info.memorised_step,
            info.grokked_step,
            info.parameters,
        )
    };
    assert_eq!(facts(read_run_info(a).unwrap()), facts(read_run_info(b).unwrap()));
    let names = checkpoints(a);
    assert_eq!(names, checkpoints(b));
    for name in names.iter().filter(|name| !name.contains(".state.")) {
        let read = |run: &Path| fs::read(run.join("checkpoints").join(name)).unwrap();
        assert!(read(a) == read(b), "{name} differs");
    }
    assert_eq!(
        fs::read(a.join("config.toml")).unwrap(),
        fs::read(b.join("config.toml")).unwrap()
    );
}

/// Waits until the run has so many checkpoints.
fn wait_for_checkpoints(child: &mut Child, run: &Path, count: usize) {
    let start = Instant::now();
    // The weights come last; before that, and under another name, a checkpoint does not count.
    let is_complete = |name: &String| !name.starts_with('.') && !name.contains(".state.");
    while checkpoints(run).iter().filter(|name| is_complete(name)).count() < count {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no checkpoint after a minute"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be stopped"
        );
        sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn finished(child: Child) -> (ExitStatus, String, String) {
    let output = child.wait_with_output().unwrap();
    (output.status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_interrupted_run_goes_on_as_if_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "whole", &[&TINY, &LONGER], &[]).output().unwrap(), 0);
    for name in ["-INT", "-TERM"] {
        let run = dir.path().join(name);
        let out = run.to_str().unwrap();
        let mut child = train(dir.path(), out, &[&TINY, &LONGER], &[]).spawn().unwrap();
        wait_for_checkpoints(&mut child, &run, 3);
        signal(&child, name);
        let (status, said, warned) = finished(child);
        assert_eq!(status.code(), Some(130), "{said}{warned}");
        assert!(said.contains("interrupted at step"), "{said}");
        assert!(
            warned.ends_with(&format!("go on with: gmatrix train --resume {out}\n")),
            "{warned}"
        );
        let info = read_run_info(&run).unwrap();
        let ended = info.ended.unwrap();
        assert_eq!((ended.reason, ended.step), (EndReason::Interrupted, info.step));
        // A checkpoint at the very step, which need not be a multiple of anything but the chunk.
        assert!(
            run.join(format!("checkpoints/step-{:08}.state.safetensors", info.step))
                .exists()
        );
        assert_eq!(read_metrics(&run).unwrap().steps.len() as u64, info.step);
        let output = resume(dir.path(), out).output().unwrap();
        expect(&output, 0);
        // The checkpoint of the interruption is one more than the other run has.
        if !info.step.is_multiple_of(50) {
            for suffix in ["safetensors", "state.safetensors"] {
                fs::remove_file(run.join(format!("checkpoints/step-{:08}.{suffix}", info.step))).unwrap();
            }
        }
        assert_same_data(&run, &dir.path().join("whole"));
    }
}

#[test]
fn a_killed_run_goes_on_as_if_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "whole", &[&TINY, &LONGER], &[]).output().unwrap(), 0);
    let run = dir.path().join("killed");
    let mut child = train(dir.path(), "killed", &[&TINY, &LONGER], &[]).spawn().unwrap();
    wait_for_checkpoints(&mut child, &run, 1);
    let busy = resume(dir.path(), "killed").output().unwrap();
    expect(&busy, 1);
    assert!(
        text(&busy.stderr).contains("is in use by another gmatrix process"),
        "{busy:?}"
    );
    // Kills that are not in step with anything: some before the first new checkpoint, some within a write.
    for milliseconds in [0, 3, 11, 23, 41, 67, 97] {
        sleep(Duration::from_millis(milliseconds));
        // One that has ended already is not there to be killed.
        if child.try_wait().unwrap().is_none() {
            signal(&child, "-KILL");
        }
        finished(child);
        // Readers see rows without a gap at any time.
        let steps = read_metrics(&run).unwrap().steps;
        assert_eq!(steps, (0..steps.len() as u64).collect::<Vec<_>>());
        child = resume(dir.path(), "killed").spawn().unwrap();
    }
    let (status, said, warned) = finished(child);
    assert!(status.success(), "{said}{warned}");
    assert_same_data(&run, &dir.path().join("whole"));
}

/// Killed before it has a checkpoint, or even a configuration, a run begins anew.
#[test]
fn a_run_may_be_killed_at_birth() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "whole", &[&TINY], &[]).output().unwrap(), 0);
    for milliseconds in [0, 1, 2, 4, 7, 11, 16, 24] {
        let name = format!("killed-{milliseconds}");
        let run = dir.path().join(&name);
        let mut child = train(dir.path(), &name, &[&TINY], &[]).spawn().unwrap();
        sleep(Duration::from_millis(milliseconds));
        if child.try_wait().unwrap().is_none() {
            signal(&child, "-KILL");
        }
        finished(child);
        let mut again = if run.join("config.toml").exists() {
            resume(dir.path(), &name)
        } else {
            train(dir.path(), &name, &[&TINY], &[])
        };
        expect(&again.output().unwrap(), 0);
        assert_same_data(&run, &dir.path().join("whole"));
    }
}
