//! The program with `--backend cuda`: what it does with a driver, and what it says without.

use std::process::Command;

use super::standin::{directory, with_driver};

const SMALL: [&str; 16] = [
    "--set",
    "task.p=7",
    "--set",
    "model.d_model=16",
    "--set",
    "model.heads=2",
    "--set",
    "model.d_mlp=24",
    "--set",
    "stats.samples=12",
    "--set",
    "stats.gram_every=2",
    "--set",
    "stats.decompose_every=2",
    "--set",
    "train.steps=6",
];

/// Runs the program with these settings of the stand-in driver: its exit code, and what it printed. None if there is no
/// stand-in.
fn told(settings: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Option<(i32, String)> {
    let stand_in = directory()?;
    let scratch = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gmatrix"));
    with_driver(&mut command, &stand_in, settings);
    command.current_dir(scratch.path()).args(arguments);
    command.envs(variables.iter().copied()).env_remove("GMATRIX_LOG");
    let output = command.output().expect("a process");
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Some((output.status.code().unwrap_or(-1), out + &errors))
}

fn trained(settings: &str, variables: &[(&str, &str)], further: &[&str]) -> Option<(i32, String)> {
    let arguments = [&["train", "--backend", "cuda", "--quiet"], further, &SMALL[..]].concat();
    told(settings, variables, &arguments)
}

#[test]
fn cuda_trains_and_profiles_from_the_command_line() {
    let Some((code, text)) = trained("", &[], &["--profile"]) else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    for word in [
        "gram_tile",
        "all 6 steps made",
        "on cuda stand-in device, sm_90, CUDA 13.0",
    ] {
        assert!(text.contains(word), "no {word} in: {text}");
    }
    assert!(!text.contains("stand-in:"), "{text}");
}

#[test]
fn cuda_is_listed_among_the_devices_or_said_to_be_absent() {
    for (settings, expected) in [
        ("", "stand-in device (sm_90, 4 multiprocessors at 1500 MHz, 8.0 GiB)"),
        ("devices=0", "cuda: the driver finds no device"),
        ("version=11040", "cuda: the driver knows CUDA 11.4, expected 12."),
        (
            "capability=70",
            "cuda: stand-in device has compute capability 7.0, expected 7.5 or newer",
        ),
    ] {
        let Some((code, text)) = told(settings, &[], &["devices"]) else {
            return;
        };
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(expected), "{settings}: {text}");
    }
}

#[test]
fn cuda_errors_say_in_a_line_what_is_wrong() {
    for (settings, variables, expected) in [
        ("devices=0", &[][..], "cuda: the driver finds no device"),
        (
            "memory=100000",
            &[],
            "bytes of memory, 100000 are free; fewer runs or samples fit",
        ),
        (
            "fail=30",
            &[],
            "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (too many resources requested for launch)",
        ),
        (
            "fault=200",
            &[],
            "GMATRIX_CUDA_LAUNCH=waiting tells which): CUDA_ERROR_ILLEGAL_ADDRESS",
        ),
        (
            "fault=200",
            &[("GMATRIX_CUDA_LAUNCH", "waiting")],
            "]: CUDA_ERROR_ILLEGAL_ADDRESS",
        ),
        (
            "",
            &[("GMATRIX_CUDA_LAUNCH", "often")],
            "GMATRIX_CUDA_LAUNCH=often: expected graphs, single or waiting",
        ),
        (
            "",
            &[("GMATRIX_STANDIN_WRONG", "1"), ("XDG_CACHE_HOME", "/dev/null")],
            "does not compile: NVRTC_ERROR_COMPILATION",
        ),
    ] {
        let Some((code, text)) = trained(settings, variables, &[]) else {
            return;
        };
        assert!(code != 0 && text.contains(expected), "{settings} {variables:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}
