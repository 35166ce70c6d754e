//! `train --profile` and `--trace`.

use serde_json::Value;

use super::{TINY, expect, text, train};

#[test]
fn a_profile_names_every_kernel_and_a_trace_every_launch() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--backend", "cpu", "--profile", "--trace", "trace.json"];
    let output = train(dir.path(), "run", &[&TINY], &flags).output().unwrap();
    expect(&output, 0);
    let table = text(&output.stdout);
    let calls = |kernel: &str| -> u64 {
        let line = table
            .lines()
            .find(|line| line.split_whitespace().next() == Some(kernel));
        let line = line.unwrap_or_else(|| panic!("no {kernel} in\n{table}"));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // 60 steps: one update and three phases of control each, a Gram matrix every 10.
    assert_eq!(calls("optimizer"), 60);
    assert_eq!(calls("control"), 180);
    assert_eq!(calls("spectrum"), 6);
    let trace: Value = serde_json::from_slice(&std::fs::read(dir.path().join("trace.json")).unwrap()).unwrap();
    let events: Vec<&Value> = trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["ph"] == "X")
        .collect();
    assert_eq!(events.len() as u64, calls("all"));
    assert!(events.iter().all(|event| event["dur"].as_f64().unwrap() >= 0.0));
    let ends = |event: &Value| event["ts"].as_f64().unwrap() + event["dur"].as_f64().unwrap();
    assert!(
        events
            .windows(2)
            .all(|pair| ends(pair[0]) <= pair[1]["ts"].as_f64().unwrap() + 1e-3),
        "launches follow each other"
    );
}

#[test]
fn what_is_timed_is_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    for (out, flags) in [("timed", &["--profile"][..]), ("untimed", &[])] {
        expect(&train(dir.path(), out, &[&TINY], flags).output().unwrap(), 0);
    }
    let metrics = |run: &str| std::fs::read(dir.path().join(run).join("metrics.parquet")).unwrap();
    assert_eq!(metrics("timed"), metrics("untimed"));
}
