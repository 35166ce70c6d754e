//! `gmatrix bench`: rows, limits and files of its report, and what it refuses.

#![cfg(feature = "cli")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn bench(dir: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("gmatrix").unwrap();
    command.current_dir(dir).args(["bench", "--backend", "cpu", "--quick"]);
    command.args(arguments).env_remove("GMATRIX_LOG");
    command.output().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn rows_are_shares_of_the_limit_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let filter = r"^kernel/quick/(matmul|gram_tile|attention)$|^task/runs/(1|8)$";
    let output = bench(dir.path(), &["--filter", filter, "--json", "out.json"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let table = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("out.json")).unwrap()).unwrap();

    assert_eq!(report["quick"], true);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    for key in ["os", "arch", "processor", "threads", "backend", "device", "precision"] {
        assert!(report["machine"].get(key).is_some(), "machine has no {key}");
    }
    let rate = |name: &str| {
        let rate = &report["rates"][name];
        assert!(number(&rate["low"]) <= number(&rate["median"]) && number(&rate["median"]) <= number(&rate["high"]));
        number(&rate["median"])
    };
    let best = [rate("copy_gb_per_s"), rate("matrix_gflop_per_s")];

    let rows = report["rows"].as_array().unwrap();
    let mut names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let seconds = &row["seconds"];
        let median = number(&seconds["median"]);
        assert!(number(&seconds["low"]) <= median && median <= number(&seconds["high"]) && median > 0.0);
        assert!(
            number(&seconds["samples"]) >= 1.0 && number(&row["calls"]) >= 1.0,
            "{name}"
        );
        // The share from the amounts, apart from how the program has it.
        let seconds_at = |key: &str, best: f64| row[key].as_f64().unwrap_or(0.0) / (best * 1e9);
        let (moving, computing) = (seconds_at("bytes", best[0]), seconds_at("flops", best[1]));
        let (limit, least) = if computing > moving {
            ("matrix_rate", computing)
        } else {
            ("bandwidth", moving)
        };
        assert_eq!(row["limit"], limit, "{name}");
        let share = number(&row["share"]);
        assert!((share - least / median).abs() <= 1e-9 * share, "{name}: {share}");
        let line = table.lines().find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no line for {name} in\n{table}"));
        assert!(line.ends_with(&limit.replace('_', " ")), "{line}");
    }
    names.sort_unstable();
    let expected = [
        "kernel/quick/attention",
        "kernel/quick/gram_tile",
        "kernel/quick/matmul",
        "task/runs/1",
        "task/runs/8",
    ];
    assert_eq!(names, expected);
    // Eight runs are eight times the work.
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    let ratio = number(&of("task/runs/8")["flops"]) / number(&of("task/runs/1")["flops"]);
    assert!((ratio - 8.0).abs() < 1e-9, "{ratio}");

    let page = fs::read_to_string(dir.path().join("out.html")).unwrap();
    for part in [
        "id=\"roofline\"",
        "Plotly.newPlot",
        "kernel/quick/matmul",
        "plotly.js v",
    ] {
        assert!(page.contains(part), "the page has no {part}");
    }
    assert!(!page.contains("{title}") && !page.contains("{rows}"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn json_on_stdout_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let output = bench(dir.path(), &["--filter", "kernel/quick/row", "--json", "-"]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"].as_array().unwrap().len(), 1);
    assert_eq!(report["left_out"], Value::Array(Vec::new()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn wrong_filters_are_one_line_and_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    for (filter, expected) in [
        ("kernel/(", "unclosed group, expected a regular expression\n"),
        ("nothing", "expected one as kernel/quick/activation or task/runs/32\n"),
    ] {
        let output = bench(dir.path(), &["--filter", filter]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty());
        assert!(error.starts_with(&format!("error: --filter {filter}: ")), "{error}");
        assert!(error.ends_with(expected) && error.lines().count() == 1, "{error}");
    }
}
