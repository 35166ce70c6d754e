//! Workers on real runs: in packs, alone, killed, side by side, in parts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gmatrix::backend::cpu_executor;
use gmatrix::plan::Capabilities;
use gmatrix::random::{Purpose, Stream};
use gmatrix::record::{EndReason, MetricsTable, RunDirectory, RunInfo, read_metrics, read_run_info, record};
use gmatrix::sweep::{How, Progress, SweepDirectory, SweepSpec, Watcher, profiles, work};
use gmatrix::trainer::{Experiment, RecordedRun, Trainer};

/// Runs of a fraction of a second.
const TINY: &str = r#"
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
steps = 60
stop = "never"
checkpoint_every = 20
chunk = 5
[stats]
samples = 10
evaluate_every = 5
gram_every = 10
decompose_every = 7
"#;

/// A sweep in a new directory.
pub struct Sweep {
    pub dir: tempfile::TempDir,
    pub spec: SweepSpec,
}

impl Sweep {
    pub fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        fs::write(&path, format!("{text}{TINY}")).unwrap();
        let spec = SweepSpec::read(&path).unwrap();
        Self { dir, spec }
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Does all runs in this process, in a directory of this name.
    pub fn work(&self, name: &str) -> SweepDirectory {
        let directory = SweepDirectory::open(&self.out(name), &self.spec, false).unwrap();
        let done = work(&directory, &self.spec, How::default(), &mut (), &AtomicBool::new(false)).unwrap();
        assert!(done);
        directory
    }

    /// The program on this sweep.
    pub fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("gmatrix"));
        command
            .current_dir(self.dir.path())
            .args(["sweep", "s.toml", "--quiet", "--out", out])
            .args(more)
            .env_remove("GMATRIX_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What a directory holds of every run.
    fn data(&self, out: &str) -> Vec<Data> {
        let run = |number| Data::read(&self.out(out).join("runs").join(format!("{number:06}")));
        (0..self.spec.runs.len()).map(run).collect()
    }
}

/// What is left of a run, but for times.
#[derive(Debug, PartialEq)]
struct Data {
    ended: (EndReason, u64),
    transitions: (Option<u64>, Option<u64>),
    steps: Vec<u64>,
    columns: Vec<(String, Vec<u64>)>,
    weights: Vec<(String, Vec<u8>)>,
}

impl Data {
    fn read(run: &Path) -> Self {
        let info = read_run_info(run).unwrap();
        let ended = info.ended.unwrap_or_else(|| panic!("{} has not ended", run.display()));
        let MetricsTable { steps, columns, .. } = read_metrics(run).unwrap();
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
        let mut weights: Vec<_> = fs::read_dir(run.join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect();
        weights.sort();
        Self {
            ended: (ended.reason, ended.step),
            transitions: (info.memorised_step, info.grokked_step),
            steps,
            columns: columns.into_iter().map(|(name, values)| (name, bits(values))).collect(),
            weights,
        }
    }
}

#[track_caller]
pub fn expect(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Lengths differ, so that runs end and others take their places at different steps of their neighbours.
const UNEVEN: &str = r#"
[sweep]
pack = 3
seeds = 2
[axes]
train.steps = [23, 60, 41]
optimizer.weight_decay = [0.0, 1.0]
"#;

#[test]
fn a_run_in_a_pack_is_the_run_alone() {
    let sweep = Sweep::new(UNEVEN);
    sweep.work("packed");
    let packed = sweep.data("packed");
    assert_eq!(packed.len(), 12);
    for (run, packed) in sweep.spec.runs.iter().zip(packed) {
        let experiment = Experiment::new(&run.config).unwrap();
        let program = experiment.program().unwrap();
        let executor = cpu_executor(program.plan.clone(), run.precision).unwrap();
        let mut alone = RecordedRun::new(Trainer::new(program, executor, 1), &experiment, "cpu").unwrap();
        let path = sweep.out("alone").join(run.number.to_string());
        let directory = RunDirectory::create(&path, &run.config).unwrap();
        let interrupted = AtomicBool::new(false);
        let info = RunInfo::default();
        record(&mut alone, &directory, &run.config.train, info, &mut (), &interrupted).unwrap();
        let mut alone = Data::read(&path);
        // A sweep keeps the last weights alone.
        let last = format!("step-{:08}.safetensors", run.config.train.steps);
        alone.weights.retain(|(name, _)| *name == last);
        assert_eq!(alone.weights.len(), 1);
        assert_eq!(packed.ended, (EndReason::Steps, run.config.train.steps.into()));
        assert_eq!(packed, alone, "run {}", run.number);
    }
}

#[test]
fn every_row_has_the_number_of_its_run() {
    let sweep = Sweep::new("[sweep]\nseeds = 3\nprecision = [\"f32\", \"f64\"]\n");
    sweep.work("out");
    for run in &sweep.spec.runs {
        let path = sweep.out("out").join(format!("runs/{:06}", run.number));
        let table = read_metrics(&path).unwrap();
        assert!(table.runs.iter().all(|number| *number == run.number));
        assert_eq!(read_run_info(&path).unwrap().precision, run.precision.name());
    }
}

#[test]
fn a_run_that_diverges_ends_alone() {
    let sweep = Sweep::new("[axes]\noptimizer.lr = [1e-3, 1e25, 2e-3]\n");
    sweep.work("out");
    let found = sweep.data("out");
    assert_eq!(found[1].ended.0, EndReason::Diverged);
    for k in [0, 2] {
        assert_eq!(found[k].ended, (EndReason::Steps, 60));
    }
    // Its neighbours are as without it.
    let without = Sweep::new("[axes]\noptimizer.lr = [1e-3, 2e-3]\n");
    without.work("out");
    let without = without.data("out");
    assert_eq!((&found[0], &found[2]), (&without[0], &without[1]));
}

/// Sets a flag once so many runs have ended.
struct Interrupt<'a> {
    after: usize,
    flag: &'a AtomicBool,
}

impl Watcher for Interrupt<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.flag.store(progress.ended >= self.after, Ordering::Relaxed);
    }
}

#[test]
fn an_interrupted_sweep_goes_on_where_it_was() {
    let sweep = Sweep::new(UNEVEN);
    sweep.work("whole");
    let directory = SweepDirectory::open(&sweep.out("out"), &sweep.spec, false).unwrap();
    for after in 1..12 {
        let flag = AtomicBool::new(false);
        let mut watcher = Interrupt { after, flag: &flag };
        if work(&directory, &sweep.spec, How::default(), &mut watcher, &flag).unwrap() {
            break;
        }
    }
    assert!(
        work(
            &directory,
            &sweep.spec,
            How::default(),
            &mut (),
            &AtomicBool::new(false)
        )
        .unwrap()
    );
    assert_eq!(sweep.data("out"), sweep.data("whole"));
}

/// Some seconds of work.
const LONG: &str = "[sweep]\nseeds = 20\n[axes]\noptimizer.weight_decay = [0.0, 0.3, 1.0]\n";

fn kill(mut child: Child) -> bool {
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    was_running
}

#[test]
fn twenty_kills_lose_nothing_and_double_nothing() {
    let sweep = Sweep::new(LONG);
    sweep.work("whole");
    let chance = Stream::new(1, Purpose::Theory);
    let mut kills = 0;
    for k in 0..20 {
        let child = sweep.command("out", &["--resume"]).spawn().unwrap();
        thread::sleep(Duration::from_millis(20 + u64::from(chance.below(k, 200))));
        kills += usize::from(kill(child));
    }
    let ended = |number: usize| {
        let path = sweep.out("out").join(format!("runs/{number:06}"));
        read_run_info(&path).is_ok_and(|info| info.ended.is_some())
    };
    let ended = (0..sweep.spec.runs.len()).filter(|number| ended(*number)).count();
    println!(
        "{kills} kills, {ended} of {} runs had ended by then",
        sweep.spec.runs.len()
    );
    let output = sweep.command("out", &["--resume"]).output().unwrap();
    expect(&output, 0);
    assert_eq!(sweep.data("out"), sweep.data("whole"));
}

#[test]
fn a_profile_counts_lanes_and_launches_of_all_parts() {
    let sweep = Sweep::new(UNEVEN);
    for shard in ["1/2", "2/2"] {
        let output = sweep.command("out", &["--shard", shard, "--profile"]).output().unwrap();
        let said = expect(&output, 0);
        assert!(said.contains("optimizer") && said.contains("trace: "), "{said}");
    }
    let (directory, _) = SweepDirectory::find(&sweep.out("out")).unwrap();
    let found = profiles(&directory).unwrap();
    let workers: Vec<&str> = found.iter().map(|pack| pack.worker.as_str()).collect();
    assert_eq!(workers.len(), 2);
    assert!(workers[0].starts_with("part 1/2, process ") && workers[1].starts_with("part 2/2, process "));
    // Four runs each of 23, 60 and 41 steps.
    assert_eq!(found.iter().map(|pack| pack.steps).sum::<u64>(), 4 * (23 + 60 + 41));
    for pack in &found {
        assert_eq!((pack.pack, pack.lanes), (0, 3));
        assert_eq!(pack.steps + pack.masked + pack.empty, pack.offered);
        // Chunks end where one of the runs does, so that no lane is masked; the last runs leave lanes empty.
        assert_eq!(pack.masked, 0);
        assert!(pack.empty > 0 && pack.chunk_seconds <= pack.seconds);
        // One launch is for all lanes.
        let steps_at_once = pack.offered / 3;
        assert_eq!(pack.kernels["optimizer"].calls, steps_at_once);
        assert!(pack.kernels["matmul"].flops > 0.0 && !pack.events.is_empty());
    }
    let trace = fs::read_to_string(sweep.out("out").join("profile/trace.json")).unwrap();
    let trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let processes: BTreeSet<u64> = events.iter().map(|event| event["pid"].as_u64().unwrap()).collect();
    assert_eq!(processes, BTreeSet::from([0, 1]));
    assert!(
        events
            .iter()
            .all(|event| event["ts"].as_f64().is_none_or(|ts| ts >= 0.0))
    );
    // Timed or not, the numbers are the same.
    sweep.work("whole");
    assert_eq!(sweep.data("out"), sweep.data("whole"));
}

/// Runs side by side on a GPU, each as alone.
#[cfg(feature = "wgpu")]
#[test]
fn a_sweep_on_wgpu_has_the_runs_of_train_on_wgpu() {
    if let Err(why) = gmatrix::backend::wgpu::probe() {
        let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "wgpu"), "{why}");
        println!("unsupported: {why}");
        return;
    }
    let sweep = Sweep::new("[sweep]\nseeds = 3\npack = 2\n");
    expect(&sweep.command("out", &["--backend", "wgpu"]).output().unwrap(), 0);
    for run in &sweep.spec.runs {
        let path = sweep.out("out").join(format!("runs/{:06}", run.number));
        assert_eq!(read_run_info(&path).unwrap().backend, "wgpu");
        let alone = sweep.out(&format!("alone-{}", run.number));
        let mut train = Command::new(assert_cmd::cargo::cargo_bin("gmatrix"));
        train
            .args(["train", "--quiet", "--backend", "wgpu", "--out"])
            .arg(&alone);
        expect(&train.arg(path.join("config.toml")).output().unwrap(), 0);
        let [packed, alone] = [path, alone].map(|path| read_metrics(&path).unwrap());
        assert_eq!(packed.steps, alone.steps);
        for (name, values) in &alone.columns {
            let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(
                bits(&packed.columns[name]),
                bits(values),
                "{name} of run {}",
                run.number
            );
        }
    }
}

/// Sets a flag once a step was made.
struct Begun<'a>(&'a AtomicBool);

impl Watcher for Begun<'_> {
    fn progress(&mut self, progress: &Progress) {
        self.0.store(progress.steps > 0, Ordering::Relaxed);
    }
}

#[test]
fn a_run_goes_on_where_it_was_begun() {
    let sweep = Sweep::new("[sweep]\nseeds = 1\n");
    let directory = SweepDirectory::open(&sweep.out("out"), &sweep.spec, false).unwrap();
    let flag = AtomicBool::new(false);
    assert!(!work(&directory, &sweep.spec, How::default(), &mut Begun(&flag), &flag).unwrap());
    let other = How {
        make: &|plan, precision, runs| {
            let (executor, capabilities) = (How::default().make)(plan, precision, runs)?;
            let backend = "other";
            Ok((
                executor,
                Capabilities {
                    backend,
                    ..capabilities
                },
            ))
        },
        ..How::default()
    };
    let refused = work(&directory, &sweep.spec, other, &mut (), &AtomicBool::new(false)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "run 0 was begun on cpu, expected --backend cpu to go on with it, not other"
    );
}

/// The instant between the last `run.json` and the removal of what only an unfinished run needs.
#[test]
fn a_run_whose_worker_died_before_tidying_up_is_tidied_up() {
    let sweep = Sweep::new("[sweep]\nseeds = 2\n");
    sweep.work("whole");
    sweep.work("out");
    let checkpoints = sweep.out("out").join("runs/000001/checkpoints");
    let last = checkpoints.join("step-00000060.safetensors");
    for left in [
        "step-00000040.safetensors",
        "step-00000040.state.safetensors",
        "step-00000060.state.safetensors",
    ] {
        fs::copy(&last, checkpoints.join(left)).unwrap();
    }
    expect(&sweep.command("out", &["--resume"]).output().unwrap(), 0);
    assert_eq!(sweep.data("out"), sweep.data("whole"));
}

#[test]
fn workers_share_a_sweep_and_do_no_run_twice() {
    let sweep = Sweep::new(LONG);
    sweep.work("whole");
    let started: Vec<Child> = (0..3)
        .map(|_| sweep.command("out", &["--resume"]).spawn().unwrap())
        .collect();
    // One of them dies on the way; the others take over.
    let [first, second, victim]: [Child; 3] = started.try_into().unwrap();
    thread::sleep(Duration::from_millis(300));
    kill(victim);
    let mut done_here = Vec::new();
    for child in [first, second] {
        let said = expect(&child.wait_with_output().unwrap(), 0);
        let here = said.split(", ").nth(1).and_then(|rest| rest.split(' ').next());
        done_here.push(here.unwrap().parse::<usize>().unwrap());
    }
    let by_victim = 60 - done_here.iter().sum::<usize>();
    println!("done by two workers {done_here:?}, by the third before it died {by_victim}");
    assert!(done_here.iter().all(|here| *here < 60), "one worker had nothing to do");
    assert_eq!(sweep.data("out"), sweep.data("whole"));
}

#[test]
fn shards_have_each_run_once() {
    let sweep = Sweep::new("[sweep]\nseeds = 5\n");
    let mut seen = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let output = sweep.command("out", &["--shard", shard]).output().unwrap();
        let said = expect(&output, 0);
        seen.push(said.clone());
        let present = fs::read_dir(sweep.out("out").join("runs")).unwrap().count();
        assert_eq!(present, [2, 4, 5][seen.len() - 1], "{said}");
    }
    assert_eq!(
        seen,
        [
            "out: 2 runs ended, 2 of them here\n",
            "out: 2 runs ended, 2 of them here\n",
            "out: 1 run ended, 1 of them here\n"
        ]
    );
    sweep.work("whole");
    assert_eq!(sweep.data("out"), sweep.data("whole"));
    // All is done: nothing is left for anybody.
    let output = sweep.command("out", &["--resume"]).output().unwrap();
    assert_eq!(expect(&output, 0), "out: 5 runs ended, 0 of them here\n");
}

#[test]
fn a_directory_is_of_one_sweep() {
    let sweep = Sweep::new("[sweep]\nseeds = 1\n");
    expect(&sweep.command("out", &[]).output().unwrap(), 0);
    let said = |output: Output| (output.status.code(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(
        said(sweep.command("out", &[]).output().unwrap()),
        (
            Some(1),
            "error: out: holds this sweep already; --resume goes on with it, or joins it\n".to_owned()
        )
    );
    let file = sweep.dir.path().join("s.toml");
    fs::write(&file, format!("[sweep]\nseeds = 2\n{TINY}")).unwrap();
    assert_eq!(
        said(sweep.command("out", &["--resume"]).output().unwrap()),
        (
            Some(1),
            "error: out/sweep.toml: is another sweep than the file says; a new sweep needs a new or empty directory\n"
                .to_owned()
        )
    );
    fs::create_dir(sweep.out("full")).unwrap();
    fs::write(sweep.out("full").join("thesis.txt"), "").unwrap();
    assert_eq!(
        said(sweep.command("full", &[]).output().unwrap()),
        (
            Some(1),
            "error: full: is not empty (it holds thesis.txt); a new sweep needs a new or empty directory\n".to_owned()
        )
    );
    assert_eq!(
        said(sweep.command("new", &["--shard", "3/2"]).output().unwrap()),
        (
            Some(2),
            "error: --shard 3/2: \"3/2\", expected i/n with i from 1 to n, as 2/4\n".to_owned()
        )
    );
}

#[test]
fn a_dry_run_shows_runs_packs_and_what_they_take() {
    let sweep = Sweep::new("[sweep]\nseeds = 20\npack = 6\n[axes]\nmodel.d_model = [8, 16]\n");
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("gmatrix"));
    let output = command
        .current_dir(sweep.dir.path())
        .args(["sweep", "s.toml", "--dry-run"])
        .output()
        .unwrap();
    let said = expect(&output, 0);
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["run", "model.d_model", "task.seed"]);
    assert_eq!(lines[1], ["0", "8", "0"]);
    assert_eq!(lines[11], ["…", "20", "more"]);
    assert_eq!(lines[21], ["39", "16", "19"]);
    // Two shapes are two packs; 20 runs of 60 steps each.
    for (k, line) in lines[24..26].iter().enumerate() {
        assert_eq!(line[..3], [k.to_string().as_str(), "20", "6"], "{said}");
        assert_eq!(line[4], "1200", "{said}");
    }
    assert!(said.ends_with("runs that stop early take less\n"), "{said}");
    assert_eq!(fs::read_dir(sweep.dir.path()).unwrap().count(), 1);
}
