//! What is said of runs whose turning points are known.

use gmatrix::record::{EndReason, Ended, MetricsRow, RunDirectory, RunInfo, TensorSet};
use gmatrix::sweep::{SweepDirectory, SweepSpec, collect};
use serde_json::{Map, Value, json};

const COLUMNS: [&str; 7] = [
    "train_accuracy",
    "test_accuracy",
    "test_loss",
    "weight_norm",
    "coherence",
    "cosine.erank_sigma",
    "gradient_norm",
];

/// The results of a run that memorises at 300, has high test accuracies from `groks` on, a rank of 40 before and 25 after, a
/// coherence that falls four times before 300, and ends at `last`.
fn results(groks: u64, last: u64, reason: EndReason) -> Map<String, Value> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.toml");
    std::fs::write(&file, "[sweep]\nseeds = 1\n").unwrap();
    let spec = SweepSpec::read(&file).unwrap();
    let directory = SweepDirectory::open(&dir.path().join("out"), &spec, false).unwrap();
    let run = RunDirectory::create(&directory.run(0), &spec.runs[0].config).unwrap();
    let row = |step: u64| {
        let evaluated = |value: f64| if step.is_multiple_of(10) { value } else { f64::NAN };
        let by_groks = |before: f64, after: f64| evaluated(if step < groks { before } else { after });
        let falls = [120, 220, 222, 280].contains(&step);
        MetricsRow {
            run: 0,
            step,
            values: vec![
                evaluated(if step < 300 { 0.5 } else { 1.0 }),
                by_groks(0.1, 0.995),
                by_groks(3.0, 0.01),
                30.0,
                if falls { -1.0 } else { (step % 7) as f64 * 0.01 },
                by_groks(40.0, 25.0),
                1.0 / (1.0 + step as f64),
            ],
        }
    };
    let rows: Vec<MetricsRow> = (0..=last).map(row).collect();
    let info = RunInfo {
        step: last,
        ended: Some(Ended { reason, step: last }),
        ..RunInfo::default()
    };
    let nothing = TensorSet::default();
    run.checkpoint(&COLUMNS.map(str::to_owned), &rows, &nothing, &nothing, &info)
        .unwrap();
    let mut runs = collect(&directory, &spec).unwrap();
    assert!(runs[0].curve.len() <= 202 && runs[0].curve.is_sorted());
    runs.remove(0).results
}

#[test]
fn a_run_that_groks_has_all_results() {
    let found = results(1000, 2000, EndReason::Steps);
    for (name, expected) in [
        ("ended", json!("steps")),
        ("steps", json!(2000)),
        ("memorised", json!(300)),
        // Three of the five evaluations of the last 50 steps are high from here on.
        ("grokked", json!(1020)),
        ("gap", json!(720)),
        ("censored", json!(false)),
        ("held_500", json!(1000)),
        ("equilibrium", json!("fixed_point")),
        ("steps_after", json!(980)),
        // The falls at 220 and 222 are one; that at 120 lies before the window of 100 steps.
        ("instabilities.coherence.before_memorised", json!(2)),
        ("instabilities.coherence.at_start", json!(1)),
        ("memorised.gradient_norm", json!(1.0 / 301.0)),
        ("grokked.cosine.erank_sigma", json!(25.0)),
        // Before: 40 at 48 evaluations, 25 at the two from 1,000 to 1,010.
        ("rank_drop.cosine", json!(1.0 - 25.0 / 40.0)),
    ] {
        assert_eq!(found.get(name), Some(&expected), "{name}");
    }
    for absent in ["collapsed", "rank_drop.raw", "instabilities.temporal_cosine.at_start"] {
        assert!(!found.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_run_that_does_not_grok_is_censored_and_has_no_class() {
    let found = results(9000, 2000, EndReason::Steps);
    assert_eq!((&found["gap"], &found["censored"]), (&json!(1700), &json!(true)));
    for absent in ["grokked", "equilibrium", "rank_drop.cosine"] {
        assert!(!found.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_run_that_diverged_has_failed() {
    let found = results(9000, 400, EndReason::Diverged);
    assert_eq!(
        (&found["ended"], &found["equilibrium"]),
        (&json!("diverged"), &json!("failed"))
    );
}
