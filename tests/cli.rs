//! The program as its users meet it: help, errors, exit codes.

#![cfg(feature = "cli")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;

fn gmatrix(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("gmatrix").unwrap();
    command.current_dir(dir).args(arguments).env_remove("GMATRIX_LOG");
    command
}

/// Exit code, stdout and stderr in an empty directory, in which nothing is left.
fn told(arguments: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = gmatrix(dir.path(), arguments).output().unwrap();
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "{arguments:?} left something behind"
    );
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn wrong_use_is_one_line_and_exit_code_2() {
    for (arguments, expected) in [
        (
            &["train", "--preset", "nada"][..],
            "error: --preset nada: preset \"nada\" is not known; did you mean nanda?; the presets are quick, nanda, prenorm, grokfast, gromov\n",
        ),
        (
            &["train", "--set", "task.q=3"],
            "error: --set task.q=3: unknown key task.q; did you mean task.p?\n",
        ),
        (
            &["train", "--preset", "nanda", "--set", "model.heads=3"],
            "error: --set model.heads=3: model.heads = 3 does not divide model.d_model = 128\n",
        ),
        (
            &["train", "--set", "task.train_fraction=0.00001"],
            "error: --set task.train_fraction=0.00001: task.train_fraction = 0.00001 leaves 0 of 3481 examples to train on and 3481 to test on, expected at least one each\n",
        ),
        (
            &["measure", "--weights", "w", "--data", "d", "--property", "train_loss"],
            "error: --property train_loss: measure knows no splits, expected loss\n",
        ),
        (
            &[
                "measure",
                "--weights",
                "w",
                "--data",
                "d",
                "--property",
                "log_odds:test:4",
            ],
            "error: --property log_odds:test:4: measure knows no splits, expected log_odds:4\n",
        ),
        (
            &["measure", "--weights", "w", "--data", "d", "--property", "fourier"],
            "error: --property fourier: property \"fourier\" is not known, expected train_loss, test_loss, loss, half_norm2, logit:i:c, prob:i:c, log_odds:i (each also with a split, as log_odds:test:i), mean_log_odds_train, mean_log_odds_test, restricted_loss, restricted_loss:k,…, fourier:k or linear:FILE#name (also linear:test:FILE#name)\n",
        ),
    ] {
        assert_eq!(
            told(arguments),
            (2, String::new(), expected.to_owned()),
            "{arguments:?}"
        );
    }
}

/// The fixture that TransformerLens exported, with its data.
fn transformer_lens() -> [String; 4] {
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    [
        "--weights".to_owned(),
        fixture("transformer_lens.safetensors"),
        "--data".to_owned(),
        fixture("transformer_lens_expected.safetensors"),
    ]
}

/// What `measure` says about that fixture with these flags.
fn measured(flags: &[&str]) -> (i32, String, String) {
    let fixture = transformer_lens();
    let mut arguments = vec!["measure"];
    arguments.extend(fixture.iter().map(String::as_str));
    arguments.extend(flags);
    told(&arguments)
}

#[test]
fn measure_shows_the_products_of_properties_with_the_statistics() {
    let flags = ["--property", "loss", "--property", "half_norm2"];
    let (code, table, _) = measured(&flags);
    assert_eq!(code, 0);
    let in_table = |name: &str| -> f64 {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name} in {table}"))
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    };
    let (_, json, _) = measured(&[&flags[..], &["--json", "-"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ntcov"]["names"], serde_json::json!(["loss", "half_norm2"]));
    assert_eq!(in_table("ntcov.loss.half_norm2"), json["ntcov"]["matrix"][0][1]);
    assert_eq!(in_table("ntcov.half_norm2.half_norm2"), json["ntcov"]["matrix"][1][1]);
    assert_eq!(in_table("loss"), json["loss"]);
}

#[test]
fn properties_that_measure_cannot_take_are_refused_with_what_it_can() {
    for (name, why) in [
        ("log_odds:9", "index 9, expected below 9, the number of samples"),
        ("prob:0:7", "class 7, expected below 7, the number of classes"),
    ] {
        let expected = format!("error: property {name}: {why}\n");
        assert_eq!(measured(&["--property", name]), (2, String::new(), expected));
    }
    let twice = ["--property", "loss", "--property", "loss"];
    let expected = "error: --property loss: stands there twice\n".to_owned();
    assert_eq!(measured(&twice), (2, String::new(), expected));
}

#[test]
fn wrong_flags_exit_with_2_and_say_what_would_do() {
    for (arguments, expected) in [
        (&[][..], "Usage: gmatrix <COMMAND>"),
        (&["tarin"], "a similar subcommand exists: 'train'"),
        (&["train", "--outt", "x"], "a similar argument exists: '--out'"),
        (
            &["train", "--backend", "tpu"],
            "[possible values: auto, cuda, wgpu, cpu]",
        ),
        (&["train", "--precision", "f16"], "[possible values: f32, f64]"),
        (
            &["train", "--resume", "x", "--preset", "quick"],
            "cannot be used with '--preset <NAME>'",
        ),
        (&["train", "--resume", "x", "--set", "a.b=c"], "cannot be used with"),
        (&["measure"], "--weights <W.safetensors>"),
        (
            &["completions", "tcsh"],
            "[possible values: bash, elvish, fish, powershell, zsh]",
        ),
    ] {
        let (code, out, err) = told(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

#[test]
fn a_bad_file_is_named_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.toml"), "[train]\nsteps = 100\nstop = \"soon\"\n").unwrap();
    gmatrix(dir.path(), &["train", "my.toml"])
        .assert()
        .code(2)
        .stdout("")
        .stderr("error: my.toml:3:8: train.stop = \"soon\", expected \"never\" or \"grokked+K\"\n");
    gmatrix(dir.path(), &["train", "none.toml"])
        .assert()
        .code(1)
        .stderr("error: none.toml: No such file or directory (os error 2)\n");
}

#[test]
fn what_is_no_run_directory_is_not_resumed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("runs")).unwrap();
    gmatrix(dir.path(), &["train", "--resume", "runs"])
        .assert()
        .code(1)
        .stderr("error: runs: is not a run directory: it holds no config.toml\n");
}

#[test]
fn a_finished_run_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = gmatrix::config::Config::default().to_toml().unwrap();
    fs::write(dir.path().join("config.toml"), config).unwrap();
    fs::write(dir.path().join("report.html"), "").unwrap();
    let info = r#"{"backend":"cpu","device":"4 threads","memorised_step":90,"grokked_step":950,
        "ended":{"reason":"grokked","step":1450},"timings":{"steps_per_second":812.3}}"#;
    fs::write(dir.path().join("run.json"), info).unwrap();
    let expected =
        ".: is finished: grokked, ended at step 1450, memorised at 90, grokked at 950 (812 steps/s on cpu 4 threads)\n";
    gmatrix(dir.path(), &["train", "--resume", "."])
        .assert()
        .success()
        .stdout(expected)
        .stderr("");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn help_teaches_every_flag() {
    let (code, out, _) = told(&["--help"]);
    assert_eq!(code, 0);
    for command in ["devices", "train", "measure", "report", "theory", "completions"] {
        assert!(out.contains(command), "{out}");
    }
    let (_, out, _) = told(&["train", "--help"]);
    for flag in [
        "--preset",
        "--set",
        "--backend",
        "--precision",
        "--out",
        "--resume",
        "--print-plan",
        "--quiet",
    ] {
        assert!(out.contains(flag), "{out}");
    }
    assert!(
        out.contains("Examples:") && out.contains("runs/<preset>-<seed>"),
        "{out}"
    );
    let (code, out, _) = told(&["--version"]);
    assert_eq!((code, out), (0, format!("gmatrix {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn every_named_preset_is_in_the_help() {
    let (_, out, _) = told(&["train", "--help"]);
    for preset in gmatrix::config::Preset::ALL {
        assert!(out.contains(preset.name()), "{preset} is not in the help");
    }
}

#[test]
fn devices_always_has_the_cpu() {
    let (code, out, _) = told(&["devices"]);
    assert!(code == 0 && out.lines().any(|line| line.starts_with("cpu ")), "{out}");
    let (_, out, _) = told(&["devices", "--json"]);
    let devices: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        devices
            .as_array()
            .unwrap()
            .iter()
            .any(|device| device["backend"] == "cpu")
    );
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, _) = told(&["completions", shell]);
        assert!(code == 0 && out.contains("completions"), "{shell}");
    }
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_is_no_failure() {
    let program = assert_cmd::cargo::cargo_bin("gmatrix");
    let script = "\"$0\" completions bash | head -1; exit ${PIPESTATUS[0]}";
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(program)
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.is_empty()),
        (Some(0), true),
        "{output:?}"
    );
}

#[test]
fn theory_prints_a_table_or_json() {
    let (code, table, errors) = told(&["theory"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(table.starts_with("claim"), "{table}");
    for verdict in ["HOLDS", "FAILS"] {
        assert!(table.contains(verdict), "{table}");
    }
    let (code, json, _) = told(&["theory", "--json", "--seed", "0"]);
    assert_eq!(code, 0);
    let claims: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(claims.as_array().unwrap().len(), 7);
    assert_eq!(claims[3]["holds"], false);
    assert_eq!(claims[0]["checks"][0]["met"], true);
}
