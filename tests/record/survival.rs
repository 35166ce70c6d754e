//! Nothing is lost beyond the last checkpoint, doubled or torn.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::fake::{FakeRun, outcome, start_or_resume, undisturbed};
use gmatrix::record::{RunDirectory, read_metrics};

const DIRECTORY: &str = "GMATRIX_TEST_DIRECTORY";
const STEPS: u32 = 600;

/// Runs in a process of its own, which tests kill or starve.
#[test]
#[ignore = "the child process of other tests"]
fn child() {
    let dir = env::var(DIRECTORY).expect("set by the parent");
    let mut run = FakeRun::new();
    run.pause = Duration::from_micros(300);
    if let Err(e) = start_or_resume(Path::new(&dir), &mut run, STEPS) {
        panic!("failed as expected of it: {e}");
    }
}

fn child_arguments() -> [&'static str; 4] {
    ["--exact", "survival::child", "--ignored", "--nocapture"]
}

/// Before every kill the directory must read as the beginning of the undisturbed run.
fn assert_is_a_beginning(dir: &Path, of: &gmatrix::record::MetricsTable) {
    let Ok(table) = read_metrics(dir) else {
        return; // killed before its first part
    };
    let n = table.steps.len();
    assert_eq!(table.steps, of.steps[..n], "rows lost or doubled");
    for (name, column) in &table.columns {
        let same = column
            .iter()
            .zip(&of.columns[name])
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "column {name} is torn");
    }
}

#[test]
fn killed_at_random_instants_it_ends_with_the_same_data() {
    let reference = tempfile::tempdir().unwrap();
    start_or_resume(reference.path(), &mut FakeRun::new(), STEPS).unwrap();
    let expected = read_metrics(reference.path()).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let mut random = 12345_u64;
    let mut kills = 0;
    for attempt in 0.. {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(child_arguments())
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if attempt < 40 {
            thread::sleep(Duration::from_micros(2_000 + (random >> 33) % 30_000));
            kills += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        assert_is_a_beginning(dir.path(), &expected);
        if status.success() {
            break;
        }
        assert!(attempt <= 40, "the last child, which nobody killed, failed");
    }
    assert!(kills >= 5, "only {kills} children were killed: the test tests nothing");
    assert!(
        outcome(dir.path()) == outcome(reference.path()),
        "data differ after {kills} kills"
    );
}

/// A run whose device was lost after step 65: joined up to 50, a part and a checkpoint at 60.
fn stopped_at_60() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut run = FakeRun::new();
    run.lost_at = 65;
    start_or_resume(dir.path(), &mut run, 95).unwrap_err();
    assert!(dir.path().join("metrics/part-00000060.parquet").exists());
    dir
}

fn finishes_as_undisturbed(dir: &Path) {
    start_or_resume(dir, &mut FakeRun::new(), 95).unwrap();
    assert!(outcome(dir) == undisturbed(95));
    let unfinished = fs::read_dir(dir).unwrap().filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".unfinished")
    });
    assert_eq!(unfinished.count(), 0);
}

#[test]
fn killed_before_the_weights_the_step_is_made_again() {
    for lost in [
        &["step-00000060.safetensors"][..],
        &["step-00000060.safetensors", "step-00000060.state.safetensors"],
    ] {
        let dir = stopped_at_60();
        for name in lost {
            fs::remove_file(dir.path().join("checkpoints").join(name)).unwrap();
        }
        finishes_as_undisturbed(dir.path());
    }
}

#[test]
fn killed_in_the_midst_of_a_file_the_rest_is_ignored() {
    let dir = stopped_at_60();
    for name in [
        "metrics/.unfinished-part-00000070.parquet",
        ".unfinished-run.json",
        ".unfinished-metrics.parquet",
    ] {
        fs::write(dir.path().join(name), "torn").unwrap();
    }
    assert_eq!(read_metrics(dir.path()).unwrap().steps.len(), 60);
    finishes_as_undisturbed(dir.path());
}

#[test]
fn killed_before_the_joined_parts_are_removed_no_row_counts_twice() {
    let dir = stopped_at_60();
    let part = fs::read(dir.path().join("metrics/part-00000060.parquet")).unwrap();
    let mut run = FakeRun::new();
    run.lost_at = 75;
    start_or_resume(dir.path(), &mut run, 95).unwrap_err();
    fs::write(dir.path().join("metrics/part-00000060.parquet"), part).unwrap();
    assert_eq!(read_metrics(dir.path()).unwrap().steps, (0..70).collect::<Vec<u64>>());
    finishes_as_undisturbed(dir.path());
}

#[test]
fn killed_before_the_configuration_the_directory_counts_as_empty() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("run.lock"), "").unwrap();
    fs::write(dir.path().join(".unfinished-config.toml"), "[ta").unwrap();
    finishes_as_undisturbed(dir.path());
}

#[test]
fn without_a_checkpoint_it_starts_again() {
    let dir = stopped_at_60();
    fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();
    finishes_as_undisturbed(dir.path());
}

#[test]
fn from_an_earlier_checkpoint_later_rows_are_dropped() {
    let dir = stopped_at_60();
    for step in [40, 50, 60] {
        fs::remove_file(dir.path().join(format!("checkpoints/step-{step:08}.state.safetensors"))).unwrap();
    }
    drop(RunDirectory::resume(dir.path()).unwrap());
    assert_eq!(read_metrics(dir.path()).unwrap().steps.len(), 30);
    finishes_as_undisturbed(dir.path());
}

#[test]
fn damaged_files_are_named_and_nothing_is_removed() {
    let dir = stopped_at_60();
    let state = dir.path().join("checkpoints/step-00000060.state.safetensors");
    File::options().write(true).open(&state).unwrap().set_len(40).unwrap();
    let message = RunDirectory::resume(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("step-00000060.state.safetensors: truncated or not a safetensors file"),
        "{message}"
    );
    assert!(
        message.ends_with("remove it to resume from the checkpoint before it"),
        "{message}"
    );
    fs::remove_file(&state).unwrap();
    finishes_as_undisturbed(dir.path());

    let joined = dir.path().join("metrics.parquet");
    for length in [0, 3, 100, fs::metadata(&joined).unwrap().len() - 1] {
        File::options()
            .write(true)
            .open(&joined)
            .unwrap()
            .set_len(length)
            .unwrap();
        let message = read_metrics(dir.path()).unwrap_err().to_string();
        assert!(
            message.contains("metrics.parquet: truncated or not a Parquet file"),
            "{message}"
        );
    }
}

/// `ulimit -f` makes writes beyond a size fail as a full disk does; the ignored signal lets them return an error.
#[test]
#[cfg(unix)]
fn a_file_that_cannot_grow_is_named_and_the_run_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f 6; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(child_arguments())
        .env(DIRECTORY, dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        told.contains("metrics.parquet: cannot be written: File too large"),
        "{told}"
    );
    let rows = read_metrics(dir.path()).unwrap().steps.len();
    assert!(rows > 0 && rows < STEPS as usize, "{rows}");
    start_or_resume(dir.path(), &mut FakeRun::new(), STEPS).unwrap();
    assert!(outcome(dir.path()) == undisturbed(STEPS));
}

/// The same on a file system that is really full, where one can be mounted.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named_and_the_run_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=2000k none \"$GMATRIX_TEST_DIRECTORY\" || exit 77
        mkdir \"$GMATRIX_TEST_DIRECTORY/run\"
        head -c 1700k /dev/zero > \"$GMATRIX_TEST_DIRECTORY/ballast\"
        export GMATRIX_TEST_DIRECTORY=\"$GMATRIX_TEST_DIRECTORY/run\"
        \"$0\" \"$@\" 2>&1 | grep -o '[a-z0-9.-]*: cannot be written.*'
        rm \"$GMATRIX_TEST_DIRECTORY/../ballast\" && \"$0\" \"$@\" && echo resumed";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "bash", "-c", script])
        .arg(env::current_exe().unwrap())
        .args(child_arguments())
        .env(DIRECTORY, dir.path())
        .output();
    let told = match &output {
        Ok(output) if output.status.code() != Some(77) => String::from_utf8_lossy(&output.stdout),
        _ => {
            eprintln!("unsupported: a file system cannot be mounted here");
            return;
        }
    };
    assert!(
        told.contains("cannot be written: No space left on device"),
        "{output:?}"
    );
    assert!(told.ends_with("resumed\n"), "{output:?}");
}
