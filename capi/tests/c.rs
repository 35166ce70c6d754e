//! The program of `docs/c.md`, compiled by the machine's C compiler and run against the shared library.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The library, which lies beside the test programs.
fn library_directory() -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    exe.parent().expect("deps").to_path_buf()
}

/// The C program in a Markdown page.
fn program(page: &Path) -> String {
    let text = std::fs::read_to_string(page).expect("docs/c.md");
    let begin = text.find("```c\n").expect("a C block") + "```c\n".len();
    let end = text[begin..].find("```").expect("its end") + begin;
    text[begin..end].to_owned()
}

/// Compiles a C file against header and library, and runs it. None if there is no C compiler, unless it is required.
fn run(source: &str, name: &str) -> Option<(bool, String)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let libraries = library_directory();
    let directory = tempfile::tempdir().expect("a directory");
    let (file, exe) = (directory.path().join(name), directory.path().join("program"));
    std::fs::write(&file, source).expect("written");
    let compiled = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"])
        .arg(&exe)
        .arg(&file)
        .arg("-I")
        .arg(here.join("include"))
        .arg("-L")
        .arg(&libraries)
        .args(["-lgmatrix_c", "-lm"])
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .output();
    let compiled = match compiled {
        Ok(output) => output,
        Err(reason) => {
            let required =
                std::env::var("GMATRIX_REQUIRE").is_ok_and(|names| names.split(',').any(|name| name == "cc"));
            assert!(!required, "cc is required: {reason}");
            println!("Unsupported: no C compiler: {reason}");
            return None;
        }
    };
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let output = Command::new(exe).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn the_program_of_the_manual_runs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/c.md");
    let Some((success, text)) = run(&program(&page), "manual.c") else {
        return;
    };
    assert!(success, "{text}");
    assert!(text.contains("participation ratio 2.66667"), "{text}");
    assert!(text.contains("K[0][1] = 1"), "{text}");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_touched() {
    let Some((success, text)) = run(include_str!("wrong.c"), "wrong.c") else {
        return;
    };
    assert!(success, "{text}");
}
