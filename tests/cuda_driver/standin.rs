//! Builds the stand-ins for CUDA's driver and for NVRTC, and runs tests in processes that find them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Set in a process that has the stand-ins, or a real device, before it.
const INSIDE: &str = "GMATRIX_CUDA_DRIVER_TEST";

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cuda_host");

/// Without contraction, so that results do not depend on what the compiler fuses on this machine.
const FLAGS: [&str; 5] = ["-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"];

fn compile(to: &Path, arguments: &[String]) -> Result<(), String> {
    let name = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut command = Command::new(&name);
    command.args(FLAGS).args(arguments).arg("-o").arg(to);
    let output = command
        .output()
        .map_err(|error| format!("no C++ compiler {name}: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    Ok(())
}

fn build() -> Result<PathBuf, String> {
    let own = format!("cuda_driver-{}", std::process::id());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(own);
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let name = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let source = |file: &str| format!("{SOURCES}/{file}");
    let runtime = directory.join("runtime.o");
    compile(&runtime, &["-c".to_owned(), source("host.cpp")])?;
    let shared = |file: &str| {
        vec![
            "-shared".to_owned(),
            source(file),
            "-ldl".to_owned(),
            "-pthread".to_owned(),
        ]
    };
    compile(&directory.join("libcuda.so.1"), &shared("driver.cpp"))?;
    let texts = [
        ("COMPILER", name),
        ("FLAGS", FLAGS.join(" ")),
        ("INCLUDE", SOURCES.to_owned()),
        ("RUNTIME", runtime.display().to_string()),
    ];
    let macros = texts.map(|(name, value)| format!("-D{name}=\"{value}\""));
    compile(
        &directory.join("libnvrtc.so.13"),
        &[macros.to_vec(), shared("compiler.cpp")].concat(),
    )?;
    Ok(directory)
}

/// Where the stand-ins are; none, after saying so, without a C++ compiler.
pub fn directory() -> Option<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(directory) => Some(directory.clone()),
        Err(why) => {
            println!("Unsupported: {why}");
            let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|name| name == "cuda-host"),
                "cuda-host is required: {why}"
            );
            None
        }
    }
}

/// Lets a process find the stand-ins in this directory, with these settings.
pub fn with_driver(command: &mut Command, directory: &Path, settings: &str) {
    command
        .env("LD_LIBRARY_PATH", directory)
        // Kept between test runs: what the images follow from is in their keys.
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_driver_images"),
        )
        .env("GMATRIX_STANDIN", settings);
}

/// Runs the body of a test in a process of its own that has the stand-in driver before it; or here, on a real device, if
/// `GMATRIX_REQUIRE` names cuda.
pub fn under_driver(test: &str, body: impl FnOnce()) {
    let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
    if std::env::var_os(INSIDE).is_some() || required.split(',').any(|name| name == "cuda") {
        gmatrix::backend::cuda::probe().expect("a device");
        return body();
    }
    let Some(directory) = directory() else { return };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "--nocapture", test]).env(INSIDE, "1");
    with_driver(&mut command, &directory, "");
    let output = command.output().expect("a process");
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let passed = output.status.success() && out.contains("1 passed") && !errors.contains("stand-in:");
    assert!(passed, "{}\n{out}{errors}", output.status);
    println!("{out}");
}
