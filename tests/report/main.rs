//! The report of synthetic run directories. The page of the full one stays under the target directory, where
//! `report_in_browser.sh` finds it.
#![cfg(feature = "report")]

mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};

use gmatrix::ErrorKind;
use gmatrix::report::write_report;
use synthetic::{Run, full_run};

/// Every chart there is.
const CHARTS: [&str; 17] = [
    "chart-losses",
    "chart-accuracy",
    "chart-norms",
    "chart-effective-rank",
    "chart-ranks",
    "chart-agreement",
    "chart-conflict",
    "chart-temporal",
    "chart-noise-scale",
    "chart-sample-norms",
    "chart-norm-spread",
    "chart-prediction",
    "chart-prediction-scatter",
    "chart-parts",
    "chart-ledger",
    "chart-values",
    "chart-ntcov",
];

const RUN_JSON: &str = r#"{
  "version": "0.1.0", "backend": "cuda", "device": "test device", "precision": "f32", "seed": 0,
  "parameters": 38592, "samples": 1740, "step": 1480, "started": "2025-06-01T12:00:00Z",
  "timings": { "wall_seconds": 3.61, "steps_per_second": 409.7 },
  "ended": { "reason": "grokked", "step": 1480 }
}"#;

fn report_of(run: &Run, dir: &Path, run_json: Option<&str>) -> String {
    run.write(dir);
    if let Some(text) = run_json {
        fs::write(dir.join("run.json"), text).unwrap();
    }
    let path = write_report(dir).unwrap();
    assert_eq!(path, dir.join("report.html"));
    fs::read_to_string(path).unwrap()
}

/// The page without plotly.js, which names many addresses that no chart of ours asks for.
fn own_part(page: &str) -> String {
    let begin = page
        .find("<script type=\"text/javascript\">")
        .expect("plotly.js is there");
    let end = begin + page[begin..].find("</script>").unwrap();
    assert!(end - begin > 1_000_000, "plotly.js is embedded");
    format!("{}{}", &page[..begin], &page[end..])
}

fn full_run_directory() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-run");
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    dir
}

#[test]
fn a_full_run_has_every_chart_and_its_facts() {
    let page = report_of(&full_run(), &full_run_directory(), Some(RUN_JSON));
    for id in CHARTS {
        assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        assert_eq!(page.matches(&format!(" id=\"{id}-data\"")).count(), 1, "{id}");
    }
    let own = own_part(&page);
    for fact in [
        "<title>(a + b) mod 59, 1-layer transformer, AdamW</title>",
        "<dt>Memorised</dt><dd>step 140</dd>",
        "<dt>Grokked</dt><dd>step 1,010</dd>",
        "<dt>Gap</dt><dd>870 steps</dd>",
        "ln = 6.77",
        "<dt>After grokking</dt><dd>no collapse</dd>",
        "<dt>Ended</dt><dd>step 1,480</dd><dd class=\"remark\">stopped 500 steps after grokking, as asked</dd>",
        "409.7 steps/s",
        "test device (cuda, f32)",
        "of n = 512 samples",
        "other.key_share",
        "3 of 74 windows are such gaps",
    ] {
        assert!(own.contains(fact), "lacks {fact}");
    }
    assert!(!own.contains("id=\"not-measured\""));
    let marks = r#""marks":[{"step":140,"label":"memorised"},{"step":1010,"label":"grokked"}]"#;
    assert!(own.contains(marks));
}

#[test]
fn the_page_asks_the_network_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let page = report_of(&full_run(), dir.path(), Some(RUN_JSON));
    let own = own_part(&page);
    assert!(!own.contains("http:") && !own.contains("https:") && !own.contains("src=") && !own.contains("<link"));
    assert!(own.contains("default-src 'none'"));
    assert_eq!(page.matches("plotly.js v").count(), 1);
    assert!(!page.contains("MathJax.loader"));
}

#[test]
fn what_was_not_measured_is_named_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::of(200);
    run.column("train_loss", 10, |t| 4.0 - 0.01 * t)
        .column("train_accuracy", 10, |t| 0.001 * t)
        .column("batch_loss", 1, |t| 4.0 - 0.01 * t)
        .column("weight_norm", 1, |_| f64::NAN);
    let own = own_part(&report_of(&run, dir.path(), None));
    assert!(own.contains("id=\"chart-losses\"") && own.contains("id=\"chart-accuracy\""));
    assert!(!own.contains("id=\"chart-norms\"") && !own.contains("id=\"chart-effective-rank\""));
    let missing = own.split("id=\"not-measured\"").nth(1).unwrap();
    for name in [
        "weight_norm, gradient_norm, update_norm",
        "test_accuracy",
        "ntcov.*",
        "noise_g2",
    ] {
        assert!(missing.contains(name), "{name}");
    }
    assert!(own.contains("<dt>Gap</dt><dd>–</dd>"));
    assert!(own.contains("not ended when this page was written"));
}

#[test]
fn lagged_decay_is_drawn_where_there_is_any() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = full_run();
    let name = "lagged weight decay (momentum)";
    assert!(!own_part(&report_of(&run, dir.path(), None)).contains(name));
    run.column("decay_lagged.train_loss", 50, |t| 1e-4 * t)
        .column("ledger.decay_lagged.train_loss", 50, |t| 1e-2 * t);
    let own = own_part(&report_of(&run, dir.path(), None));
    // Once among the parts of a step, once in the ledger.
    assert_eq!(own.matches(name).count(), 2);
    assert!(!own.contains("id=\"not-measured\""));
}

#[test]
fn a_run_that_has_not_grokked_is_censored() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::of(2001);
    run.column("train_accuracy", 10, |t| if t >= 300.0 { 1.0 } else { 0.1 })
        .column("test_accuracy", 10, |_| 0.02);
    let own = own_part(&report_of(&run, dir.path(), None));
    assert!(own.contains("<dd>&gt; 1,700 steps</dd><dd class=\"remark\">censored"));
    assert!(own.contains("<dt>Grokked</dt><dd>not yet</dd>"));
}

#[test]
fn names_from_outside_cannot_become_markup() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = dir.path().join("<script>alert(1)<");
    let mut run = Run::of(3);
    run.column("ntcov.</script><b>.</script><b>", 1, |t| t + 1.0)
        .column("odd.<i>", 1, |t| t);
    let own = own_part(&report_of(&run, &hostile, None));
    assert!(!own.contains("<b>.<") && !own.contains("<i>") && !own.contains("alert(1)<"));
}

#[test]
fn a_run_without_rows_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::of(0);
    run.column("batch_loss", 1, |t| t);
    let page = report_of(&run, dir.path(), None);
    assert!(page.contains("This run has no rows of metrics yet"));
    assert!(!page.contains("class=\"chart\""));
}

#[test]
fn errors_are_one_line_and_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |dir: &Path, name: &str| {
        let error = write_report(dir).unwrap_err();
        let line = error.to_string();
        let is_expected = matches!(error.kind(), ErrorKind::Io { .. } | ErrorKind::Config(_));
        assert!(is_expected, "{line}");
        assert!(line.contains(name) && !line.contains('\n'), "{line}");
    };
    fails(&dir.path().join("nowhere"), "nowhere");
    fails(dir.path(), dir.path().to_str().unwrap());

    let mut run = Run::of(10);
    run.column("batch_loss", 1, |t| t + 1.0).write(dir.path());
    fs::write(dir.path().join("run.json"), "{ \"step\": ").unwrap();
    fails(dir.path(), "run.json");
    fs::remove_file(dir.path().join("run.json")).unwrap();
    fs::write(dir.path().join("config.toml"), "[task]\np = \"many\"\n").unwrap();
    fails(dir.path(), "config.toml");
    fs::remove_file(dir.path().join("config.toml")).unwrap();
    fails(dir.path(), "config.toml");
    fs::write(dir.path().join("metrics/part-00001000.parquet"), "PAR1 no more").unwrap();
    fails(dir.path(), "part-00001000.parquet");
}
