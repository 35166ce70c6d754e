//! How branches go on.

use std::fs;

use gmatrix::record::{read_metrics, read_run_info};

use super::{TINY, differences, resume, state, state_file, succeed, train, weights, weights_file};

/// Every kind of state that a run can have beside the usual.
const PRESSURES: [&str; 4] = [
    "optimizer.filter=grokfast_ma",
    "optimizer.filter_window=5",
    "optimizer.hold_norm=tensor",
    "stats.stream=16",
];

#[test]
fn a_branch_with_nothing_changed_is_its_parent_bit_for_bit() {
    for more in [&[][..], &PRESSURES, &["optimizer.kind=adam", "optimizer.noise=0.1"]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        train(path, "parent", &[&TINY, more]);
        succeed(path, &["intervene", "set", "parent", "--step", "20", "--out", "branch"]);
        let (parent, branch) = (path.join("parent"), path.join("branch"));
        assert_eq!(
            fs::read(state_file(&branch, 20)).unwrap(),
            fs::read(state_file(&parent, 20)).unwrap()
        );
        assert_eq!(
            fs::read(weights_file(&branch, 20)).unwrap(),
            fs::read(weights_file(&parent, 20)).unwrap()
        );
        resume(path, "branch");
        for step in [40, 60] {
            for file in [state_file, weights_file] {
                assert!(
                    fs::read(file(&branch, step)).unwrap() == fs::read(file(&parent, step)).unwrap(),
                    "{more:?}: step {step}"
                );
            }
        }
        let (of_parent, of_branch) = (read_metrics(&parent).unwrap(), read_metrics(&branch).unwrap());
        assert_eq!(of_branch.steps, (20..60).collect::<Vec<_>>());
        for (name, values) in &of_branch.columns {
            let expected = &of_parent.columns[name][20..];
            for (k, (a, b)) in values.iter().zip(expected).enumerate() {
                assert!(
                    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                    "{name} {k}: {a} {b}"
                );
            }
        }
    }
}

#[test]
fn a_changed_setting_acts_from_the_branch_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "parent", &[&TINY]);
    let arguments = ["--step", "40", "--set", "optimizer.lr=1e-4", "--out", "branch"];
    let said = succeed(path, &[&["intervene", "set", "parent"], &arguments[..]].concat());
    assert!(said.starts_with("branch: begins at step 40 of parent; 0 of "), "{said}");
    let (parent, branch) = (path.join("parent"), path.join("branch"));
    assert!(differences(&state(&parent, 40), &state(&branch, 40)).is_empty());
    resume(path, "branch");
    let row = |run: &std::path::Path, column: &str, step: u64| {
        let metrics = read_metrics(run).unwrap();
        metrics.measured(column).find(|(s, _)| *s == step).unwrap().1
    };
    assert_eq!(row(&parent, "batch_loss", 40), row(&branch, "batch_loss", 40));
    assert!(row(&branch, "update_norm", 40) < 0.1 * row(&parent, "update_norm", 40));
    assert!(row(&parent, "batch_loss", 41) != row(&branch, "batch_loss", 41));

    let info = read_run_info(&branch).unwrap();
    let lineage = info.parent.unwrap();
    assert_eq!(
        (lineage.run.as_str(), lineage.step, lineage.arm.as_str()),
        ("parent", 40, "set")
    );
    assert!(lineage.arguments.contains(&"optimizer.lr=1e-4".to_owned()));
    assert_eq!(lineage.weights_sha256.len(), 64);
    assert_eq!(info.step, 60);
    assert!(read_run_info(&parent).unwrap().parent.is_none());
    assert!(
        fs::read_to_string(branch.join("report.html"))
            .unwrap()
            .contains("</html>")
    );

    // A branch can be branched, at any of its checkpoints.
    let arguments = ["branch", "--step", "40", "--out", "twig", "--set", "train.steps=80"];
    succeed(path, &[&["intervene", "set"], &arguments[..]].concat());
    resume(path, "twig");
    assert_eq!(read_run_info(&path.join("twig")).unwrap().step, 80);
}

#[test]
fn a_run_that_ended_goes_on_in_its_branch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "long", &[&TINY, &["train.steps=80"]]);
    train(path, "short", &[&TINY]);
    succeed(
        path,
        &[
            "intervene",
            "set",
            "short",
            "--set",
            "train.steps=80",
            "--out",
            "branch",
        ],
    );
    resume(path, "branch");
    // The last word of the block that knows about ends is the same again.
    let (long, branch) = (state(&path.join("long"), 80), state(&path.join("branch"), 80));
    assert!(
        differences(&long, &branch).is_empty(),
        "{:?}",
        differences(&long, &branch)
    );
}

#[test]
fn another_task_begins_without_memory_of_transitions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let learnt = [
        "optimizer.lr=1e-2",
        "optimizer.batch=full",
        "train.steps=200",
        "train.checkpoint_every=200",
    ];
    train(path, "first", &[&TINY, &learnt]);
    assert!(read_run_info(&path.join("first")).unwrap().memorised_step.is_some());
    let arguments = [
        "first",
        "--out",
        "second",
        "--set",
        "task.op=mul",
        "--set",
        "train.steps=300",
    ];
    succeed(path, &[&["intervene", "set"], &arguments[..]].concat());
    let begun = state(&path.join("second"), 200);
    let found = differences(&state(&path.join("first"), 200), &begun);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["control", "history"]);
    assert_eq!(
        weights(&path.join("first"), 200).2,
        weights(&path.join("second"), 200).2
    );
    resume(path, "second");
    let info = read_run_info(&path.join("second")).unwrap();
    assert!(info.memorised_step.is_none_or(|step| step >= 200), "{info:?}");
    let loss = read_metrics(&path.join("second")).unwrap();
    let first = loss.measured("batch_loss").next().unwrap();
    assert!(first.0 == 200 && first.1 > 0.5, "{first:?}");
}

#[test]
fn moments_of_another_rule_begin_at_zero() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    train(path, "parent", &[&TINY]);
    for (kind, rows, kept) in [
        ("momentum", 4, 2..3),
        ("adam", 4, 0..3),
        ("adamw", 3, 0..3),
        ("sgd", 3, 2..3),
    ] {
        let setting = format!("optimizer.kind={kind}");
        succeed(
            path,
            &[
                "intervene",
                "set",
                "parent",
                "--step",
                "20",
                "--set",
                &setting,
                "--out",
                kind,
            ],
        );
        let (before, after) = (state(&path.join("parent"), 20), state(&path.join(kind), 20));
        let (before, after) = (before.get("moments").unwrap(), after.get("moments").unwrap());
        assert_eq!(after.shape[0], rows, "{kind}");
        let len = after.shape[1];
        let (before, after) = (super::numbers(before), super::numbers(after));
        for row in 0..rows {
            let found = &after[row * len..(row + 1) * len];
            if kept.contains(&row) {
                assert_eq!(found, &before[row * len..(row + 1) * len], "{kind} {row}");
            } else {
                assert!(found.iter().all(|x| *x == 0.0), "{kind} {row}");
            }
        }
        resume(path, kind);
    }
}
