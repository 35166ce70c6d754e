//! The table and the report of a sweep.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, StringArray};
use gmatrix::backend::Precision;
use gmatrix::config::LossKind;
use gmatrix::record::{read_metrics, read_run_info};
use gmatrix::sweep::collect;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::work::{Sweep, expect};

/// The columns of a table as text, null as nothing.
fn table(path: &Path) -> BTreeMap<String, Vec<Option<String>>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let mut columns: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for batch in reader {
        let batch = batch.unwrap();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let any = array.as_any();
            let value = |row: usize| -> String {
                if let Some(array) = any.downcast_ref::<Int64Array>() {
                    array.value(row).to_string()
                } else if let Some(array) = any.downcast_ref::<Float64Array>() {
                    format!("{:?}", array.value(row))
                } else if let Some(array) = any.downcast_ref::<BooleanArray>() {
                    array.value(row).to_string()
                } else {
                    any.downcast_ref::<StringArray>().unwrap().value(row).to_owned()
                }
            };
            let values = (0..array.len()).map(|row| array.is_valid(row).then(|| value(row)));
            columns.entry(field.name().clone()).or_default().extend(values);
        }
    }
    columns
}

const AXES: &str = r#"
[sweep]
seeds = 3
[axes]
optimizer.lr = [1e-3, 1e25]
loss.kind = ["cross_entropy", "mse"]
"#;

#[test]
fn the_table_has_a_row_for_each_run_with_what_it_was_and_came_to() {
    let sweep = Sweep::new(AXES);
    expect(&sweep.command("out", &[]).output().unwrap(), 0);
    let out = sweep.out("out");
    let found = table(&out.join("runs.parquet"));
    let column = |name: &str| -> Vec<String> {
        let values = found
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", found.keys()));
        values.iter().map(|value| value.clone().unwrap_or_default()).collect()
    };
    let numbers: Vec<String> = (0..12).map(|k| k.to_string()).collect();
    assert_eq!(column("run"), numbers);
    assert_eq!(column("task.seed"), ["0", "1", "2"].repeat(4));
    assert_eq!(column("optimizer.lr"), [vec!["0.001"; 6], vec!["1e25"; 6]].concat());
    assert_eq!(column("loss.kind")[2..4], ["cross_entropy", "mse"]);
    assert_eq!(column("model.d_model"), vec!["8"; 12]);
    assert_eq!(column("sweep.precision"), vec!["f32"; 12]);
    for (k, run) in sweep.spec.runs.iter().enumerate() {
        let path = out.join(format!("runs/{:06}", run.number));
        let ended = read_run_info(&path).unwrap().ended.unwrap();
        assert_eq!(column("ended")[k], ended.reason.to_string());
        assert_eq!(column("steps")[k], ended.step.to_string());
        let metrics = read_metrics(&path).unwrap();
        let last = metrics.measured("train_loss").last().unwrap().1;
        assert_eq!(column("last.train_loss")[k], format!("{last:?}"));
    }
    assert_eq!(column("ended")[..6], vec!["steps"; 6]);
    assert_eq!(column("ended")[6..9], vec!["diverged"; 3]);
    // What no run has is there, and null.
    for name in ["grokked", "period", "period_significant", "equilibrium"] {
        let values = &found[name];
        assert!(values[..6].iter().all(Option::is_none), "{name}: {values:?}");
    }
    // What is kept of the runs gives the same table as the runs themselves.
    let kept = fs::read(out.join("runs.parquet")).unwrap();
    for run in &sweep.spec.runs {
        fs::remove_file(out.join(format!("runs/{:06}/summary.json", run.number))).unwrap();
    }
    let (directory, spec) = gmatrix::sweep::SweepDirectory::find(&out).unwrap();
    assert_eq!(collect(&directory, &spec).unwrap().len(), 12);
    assert_eq!(fs::read(out.join("runs.parquet")).unwrap(), kept);
}

#[test]
fn the_report_has_pictures_then_tables_and_leads_to_the_runs() {
    let sweep = Sweep::new(AXES);
    expect(&sweep.command("out", &[]).output().unwrap(), 0);
    let out = sweep.out("out");
    // The report of a single run, to which that of the sweep then leads.
    for dir in ["out/runs/000003", "out"] {
        let mut command = assert_cmd::Command::cargo_bin("gmatrix").unwrap();
        command.current_dir(sweep.dir.path()).args(["report", dir]);
        command.assert().success().stdout(format!("{dir}/report.html\n"));
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let mut from = 0;
    for part in [
        "gmatrix sweep <b>out</b>",
        "12 of 12",
        "optimizer.lr = 0.001",
        "id=\"chart-curves-1\"",
        "id=\"overview\"",
        "id=\"classes\"",
        "id=\"correlations\"",
        "id=\"frequencies\"",
        "id=\"runs\"",
        "<a href=\"runs/000002/\">2</a>",
        "<a href=\"runs/000003/report.html\">3</a>",
        // Nothing memorised, so there is no gap to draw.
        "Gap against optimizer.lr",
        "What was swept",
        "optimizer.lr = [1e-3, 1e25]",
    ] {
        let found = page[from..]
            .find(part)
            .unwrap_or_else(|| panic!("{part} does not follow in the page"));
        from += found;
    }
}

/// In f64 and f32, with the accurate and the naive loss: every run has the most exact one as its twin.
#[test]
fn twins_part_where_their_losses_do() {
    let text = "[sweep]\nseeds = 2\nprecision = [\"f32\", \"f64\"]\n\
                [axes]\nloss.kind = [\"cross_entropy_naive\", \"cross_entropy\"]\noptimizer.lr = [1e-3, 0.5]\n";
    let sweep = Sweep::new(text);
    let directory = sweep.work("out");
    let found = collect(&directory, &sweep.spec).unwrap();
    let losses = |number: u32| read_metrics(&directory.run(number)).unwrap();
    let mut parted = 0;
    for ended in &found {
        let run = &ended.run;
        let same = |other: &&gmatrix::sweep::SweepRun| {
            other.config.task.seed == run.config.task.seed
                && other.config.optimizer == run.config.optimizer
                && other.precision == Precision::F64
                && other.config.loss.kind == LossKind::CrossEntropy
        };
        let exact = sweep.spec.runs.iter().find(same).unwrap().number;
        if run.number == exact {
            assert_eq!(ended.number("twin"), None);
            continue;
        }
        assert_eq!(ended.number("twin"), Some(f64::from(exact)));
        let (a, b) = (losses(exact), losses(run.number));
        let pairs: Vec<_> = a.measured("batch_loss").zip(b.measured("batch_loss")).collect();
        let apart = |bound: f64| {
            let far = |((_, x), (_, y)): &((u64, f64), (u64, f64))| (x - y).abs() > bound * x.abs().max(y.abs());
            pairs.iter().find(|pair| far(pair)).map(|((step, _), _)| *step as f64)
        };
        assert_eq!(ended.number("twin.differs"), apart(0.0), "run {}", run.number);
        assert_eq!(ended.number("twin.parts"), apart(0.01), "run {}", run.number);
        if run.precision == Precision::F32 {
            assert!(ended.number("twin.differs").unwrap() < 3.0);
        }
        parted += usize::from(ended.number("twin.parts").is_some());
    }
    println!("{parted} of {} parted by 1 %", found.len());
    let page = gmatrix::report::write_sweep_report(&directory, &sweep.spec, &found).unwrap();
    assert!(fs::read_to_string(page).unwrap().contains("id=\"twins\""));
}
