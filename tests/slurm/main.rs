//! A sweep as a job array of a real Slurm, with a task killed in mid-run and requeued. Where Slurm is not installed, the
//! test says so and passes, unless `GMATRIX_REQUIRE` asks for slurm.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod cluster;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cluster::Cluster;
use gmatrix::record::{read_metrics, read_run_info};

/// Two runs for each of three tasks, each of some seconds.
const SWEEP: &str = r#"
[sweep]
seeds = 6
[task]
p = 11
[model]
d_model = 16
heads = 2
d_mlp = 32
[train]
steps = 4000
stop = "never"
checkpoint_every = 100
[stats]
samples = 16
"#;

fn program() -> std::path::PathBuf {
    assert_cmd::cargo::cargo_bin("gmatrix")
}

/// Waits until something holds; fails after five minutes.
fn until(what: &str, cluster: &Cluster, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < Duration::from_secs(300),
            "{what} does not come\n{}",
            cluster.logs()
        );
        thread::sleep(Duration::from_millis(100));
    }
}

fn checkpoints(run: &Path) -> usize {
    fs::read_dir(run.join("checkpoints")).map_or(0, Iterator::count)
}

/// Rows of every run, to the bit, and how it ended.
fn data(out: &Path) -> Vec<String> {
    (0..6)
        .map(|number| {
            let run = out.join(format!("runs/{number:06}"));
            let table = read_metrics(&run).unwrap();
            let columns = table.columns.iter().map(|(name, values)| {
                let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
                format!("{name} {bits:?}")
            });
            let columns: Vec<String> = columns.collect();
            format!("{:?} {:?} {columns:?}", read_run_info(&run).unwrap().ended, table.steps)
        })
        .collect()
}

#[test]
fn a_job_array_does_the_sweep_though_a_task_is_killed_and_requeued() {
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(why) => {
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|name| name == "slurm"),
                "slurm is required: {why}"
            );
            println!("Unsupported: {why}");
            return;
        }
    };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.toml"), SWEEP).unwrap();
    let mut submitted: Child = cluster
        .command(&program().display().to_string())
        .current_dir(dir.path())
        .args([
            "sweep",
            "s.toml",
            "--out",
            "out",
            "--slurm",
            "3",
            "--wait",
            "--sbatch=--ntasks=1",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = dir.path().join("out");
    // The second task has the runs 1 and 4. It is killed where it has a checkpoint and much to do.
    let run = out.join("runs/000001");
    until("the second task", &cluster, || checkpoints(&run) > 2);
    let before = read_run_info(&run).unwrap();
    assert!(before.ended.is_none(), "the run is over before it could be killed");
    let queue = cluster.told("squeue", &["-h", "-t", "RUNNING", "-o", "%i"]);
    let job = queue
        .lines()
        .find(|line| line.trim().ends_with("_2"))
        .unwrap_or_else(|| panic!("no task 2 in {queue}"));
    cluster.told("scancel", &["--signal=KILL", "--full", job.trim()]);
    cluster.told("scontrol", &["requeue", job.trim()]);
    until("the end of the job", &cluster, || {
        submitted.try_wait().unwrap().is_some()
    });
    let output = submitted.wait_with_output().unwrap();
    let logs: Vec<String> = (1..=3)
        .map(|task| fs::read_to_string(out.join(format!("slurm/{task}.log"))).unwrap_or_default())
        .collect();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{output:?}\n{logs:?}\n{}",
        cluster.logs()
    );
    assert!(
        String::from_utf8_lossy(&output.stdout).ends_with("out: 6 runs ended\n"),
        "{output:?}"
    );
    assert!(out.join("report.html").is_file() && out.join("runs.parquet").is_file());

    let mut alone = Command::new(program());
    alone
        .current_dir(dir.path())
        .args(["sweep", "s.toml", "--out", "alone", "--quiet"]);
    assert!(alone.status().unwrap().success());
    assert_eq!(data(&out), data(&dir.path().join("alone")));
}
