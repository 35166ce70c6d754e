//! Runs in stages.

use std::fs;

use gmatrix::record::{read_metrics, read_run_info};

use super::{TINY, gmatrix, state_file, succeed, weights_file};

const STAGES: &str = "
[task]
p = 7
train_fraction = 0.6
[model]
d_model = 8
heads = 2
d_mlp = 12
[optimizer]
batch = 8
[train]
steps = 30
stop = \"never\"
checkpoint_every = 20
chunk = 5
[stats]
samples = 10
[[stage]]
[[stage]]
train.steps = 20
[stage.task]
op = \"mul\"
[[stage]]
[stage.task]
op = \"sub\"
random_labels = true
";

#[test]
fn a_stage_begins_where_the_one_before_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    fs::write(path.join("order.toml"), STAGES).unwrap();
    let whole = ["train", "order.toml", "--quiet", "--backend", "cpu", "--out"];
    succeed(path, &[&whole[..], &["run"]].concat());
    let stage = |run: &str, k: usize| path.join(run).join(format!("stage-{k}"));
    for (k, steps) in [(1, 0..30), (2, 30..50), (3, 50..80)] {
        let found = read_metrics(&stage("run", k)).unwrap().steps;
        assert_eq!(found, steps.collect::<Vec<_>>(), "stage {k}");
    }
    for (k, step) in [(1, 30), (2, 50)] {
        let (before, after) = (stage("run", k), stage("run", k + 1));
        let of = |run: &std::path::Path| fs::read(weights_file(run, step)).unwrap();
        assert!(of(&before) == of(&after), "stage {k}");
        let parent = read_run_info(&after).unwrap().parent.unwrap();
        assert_eq!((parent.arm.as_str(), parent.step), ("stage", step));
    }
    assert!(
        fs::read_to_string(stage("run", 2).join("config.toml"))
            .unwrap()
            .contains("op = \"mul\"")
    );
    // A stage is a branch by hand.
    let by_hand = [
        "run/stage-1",
        "--set",
        "task.op=mul",
        "--set",
        "train.steps=50",
        "--out",
        "hand",
    ];
    succeed(path, &[&["intervene", "set"], &by_hand[..]].concat());
    succeed(path, &["train", "--quiet", "--resume", "hand"]);
    assert!(
        fs::read(state_file(&path.join("hand"), 50)).unwrap() == fs::read(state_file(&stage("run", 2), 50)).unwrap()
    );

    // As if killed while the third stage was being made, after the second: the whole goes on.
    succeed(path, &[&whole[..], &["cut"]].concat());
    fs::remove_file(stage("cut", 3).join("config.toml")).unwrap();
    succeed(path, &["train", "--quiet", "--resume", "cut"]);
    assert!(fs::read(state_file(&stage("run", 3), 80)).unwrap() == fs::read(state_file(&stage("cut", 3), 80)).unwrap());
    // Finished: nothing is left to do.
    succeed(path, &["train", "--quiet", "--resume", "cut"]);
}

#[test]
fn stages_that_do_not_fit_are_refused_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for (text, expected) in [
        (
            "[[stage]]\n[[stage]]\n[stage.task]\np = 61\n",
            "stage 2 asks for another network than the first; tokens, classes and [model] must be the same",
        ),
        (
            "[stage]\n",
            "my.toml:1:1: stage is a list of tables, expected [[stage]]",
        ),
        (
            "[[stage]]\n[[stage]]\ntrain.stepps = 3\n",
            "my.toml:3:7: unknown key train.stepps; did you mean train.steps?",
        ),
    ] {
        fs::write(path.join("my.toml"), text).unwrap();
        let output = gmatrix(path, &["train", "my.toml", "--out", "out"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said), (Some(2), format!("error: {expected}\n")));
        assert!(!path.join("out").exists());
    }
    // One stage is a run.
    fs::write(path.join("my.toml"), "[[stage]]\n").unwrap();
    let mut arguments = vec!["train", "my.toml", "--quiet", "--out", "out"];
    for setting in TINY {
        arguments.extend(["--set", setting]);
    }
    succeed(path, &arguments);
    assert!(path.join("out/config.toml").is_file());
}
