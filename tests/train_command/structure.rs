//! `gmatrix structure`, and what a run keeps for it.

use std::fs;

use gmatrix::alignment::read_alignment;
use gmatrix::selection::read_selection;
use gmatrix::structure::{FILE, read_structure};

use super::stopped::assert_same_data;
use super::{TINY, command, expect, resume, text, train};

const KEPT: [&str; 1] = ["train.weights_every=15"];

#[test]
fn a_run_keeps_weights_and_measures_its_structure() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "run", &[&TINY, &KEPT], &[]).output().unwrap(), 0);
    let run = dir.path().join("run");
    let table = read_structure(&run).unwrap().unwrap();
    assert_eq!(table.steps, [0, 15, 20, 30, 40, 45, 60]);
    assert!(table.columns["price.neurons.change"][0].is_nan());
    for (k, error) in table.columns["price.neurons.identity_error"].iter().enumerate().skip(1) {
        assert!(*error < 1e-12, "row {k}: {error}");
    }
    for (name, values) in &table.columns {
        assert!(values.iter().any(|x| x.is_finite()), "{name} has no value");
    }
    let shares: f64 = (1..=3).map(|k| table.columns[&format!("fourier.embed.{k}")][0]).sum();
    assert!((shares - 1.0).abs() < 1e-12);
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    for chart in [
        "fourier-losses",
        "spectrum-logits",
        "price-neurons",
        "fourier-concentration",
        "algorithm",
    ] {
        assert!(report.contains(&format!("id=\"chart-{chart}\"")), "no chart {chart}");
    }

    // The command does the same again, to the byte.
    let before = fs::read(run.join(FILE)).unwrap();
    fs::remove_file(run.join(FILE)).unwrap();
    let output = command(dir.path(), &["structure", "run"]).output().unwrap();
    expect(&output, 0);
    assert!(
        text(&output.stdout).starts_with("run: weights of 7 steps, "),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(fs::read(run.join(FILE)).unwrap(), before);
}

#[test]
fn weights_later_than_the_checkpoint_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    expect(&train(path, "whole", &[&TINY, &KEPT], &[]).output().unwrap(), 0);
    expect(&train(path, "cut", &[&TINY, &KEPT], &[]).output().unwrap(), 0);
    // As if killed behind step 45, before the checkpoint at 60.
    for name in ["step-00000060.safetensors", "step-00000060.state.safetensors"] {
        fs::remove_file(path.join("cut/checkpoints").join(name)).unwrap();
    }
    let info = fs::read_to_string(path.join("cut/run.json")).unwrap();
    let mut info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["ended"] = serde_json::Value::Null;
    fs::write(path.join("cut/run.json"), info.to_string()).unwrap();
    fs::remove_file(path.join("cut/weights/step-00000060.safetensors")).unwrap();
    let later = path.join("cut/weights/step-00000045.safetensors");
    fs::write(later, "of a run that was killed").unwrap();
    expect(&resume(path, "cut").output().unwrap(), 0);
    assert_same_data(&path.join("whole"), &path.join("cut"));
    for step in [0, 15, 30, 45, 60] {
        let name = format!("weights/step-{step:08}.safetensors");
        let read = |run: &str| fs::read(path.join(run).join(&name)).unwrap();
        assert!(read("whole") == read("cut"), "{name} differs");
    }
}

#[test]
fn what_has_no_frequencies_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (out, settings, expected) in [
        ("squares", vec!["task.op=sum_squares"], "adds in no cyclic group"),
        ("part", vec!["task.test_samples=5"], "of all 49 pairs"),
    ] {
        expect(&train(dir.path(), out, &[&TINY, &settings], &[]).output().unwrap(), 0);
        assert!(!dir.path().join(out).join(FILE).exists());
        let output = command(dir.path(), &["structure", out]).output().unwrap();
        let error = text(&output.stderr);
        assert!(error.contains(expected), "{error}");
        assert_ne!(output.status.code(), Some(0));
    }
    let output = command(dir.path(), &["structure", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn alignment_along_a_run() {
    let dir = tempfile::tempdir().unwrap();
    expect(&train(dir.path(), "run", &[&TINY, &KEPT], &[]).output().unwrap(), 0);
    let output = command(dir.path(), &["alignment", "run", "--lags", "15,20", "--samples", "12"])
        .output()
        .unwrap();
    expect(&output, 0);
    assert_eq!(text(&output.stdout), "run: alignment at 6 steps\n");
    let table = read_alignment(&dir.path().join("run")).unwrap().unwrap();
    assert_eq!(table.steps, [0, 15, 20, 30, 40, 45]);
    let persistence = &table.columns["alignment.persistence.15"];
    assert!(persistence[0].is_finite() && persistence[2].is_nan(), "{persistence:?}");
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("id=\"chart-alignment\""));
    let output = command(dir.path(), &["alignment", "run", "--lags", "7"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("train.weights_every is 15"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn selection_along_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let minibatch = ["optimizer.batch=8"];
    expect(
        &train(dir.path(), "run", &[&TINY, &KEPT, &minibatch], &[])
            .output()
            .unwrap(),
        0,
    );
    let arguments = [
        "selection",
        "run",
        "--samples",
        "12",
        "--every",
        "15",
        "--frequency",
        "2",
    ];
    let output = command(dir.path(), &arguments).output().unwrap();
    expect(&output, 0);
    assert_eq!(text(&output.stdout), "run: selection at 5 steps\n");
    let table = read_selection(&dir.path().join("run")).unwrap().unwrap();
    assert_eq!(table.steps, [0, 15, 30, 45, 60]);
    let column = |name: &str| &table.columns[&format!("price.samples.{name}")];
    assert!(column("count").iter().all(|n| *n == 12.0));
    for name in ["train_loss", "test_loss", "half_norm2"] {
        for k in 0..5 {
            let of = |term: &str| column(&format!("{name}.{term}"))[k];
            let near = |a: f64, b: f64| {
                assert!(
                    (a - b).abs() < 1e-10 * (a.abs() + b.abs() + of("uniform").abs()),
                    "{a} {b}"
                )
            };
            near(of("change"), of("uniform") + of("covariance"));
            for grouping in ["class", "loss_quarter", "phase"] {
                near(
                    of("covariance"),
                    of(&format!("between.{grouping}")) + of(&format!("within.{grouping}")),
                );
            }
        }
        let drift = column(&format!("{name}.drift"));
        assert!(drift.iter().any(|x| x.is_finite()), "{drift:?}");
    }
    // Descent lowers the training loss.
    assert!(column("train_loss.change")[1] < 0.0);
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("id=\"chart-selection-test\""));
    let output = command(dir.path(), &["selection", "run", "--every", "7000"])
        .output()
        .unwrap();
    // Step 0 is a multiple of everything.
    expect(&output, 0);
}
