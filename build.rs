//! One name, several artefacts: every kernel of the contract table has a CPU version, and every shader and CUDA file
//! belongs to a kernel and is listed in the manifest of its backend. Text work only: no GPU, no network, no dependencies.

use std::collections::BTreeSet;
use std::{fs, process};

const CONTRACTS: &str = "src/plan/kernel";
const CPU: &str = "src/backend/cpu/kernels";
/// Where a backend's sources are, their ending, and which file lists them.
const SOURCES: [[&str; 3]; 2] = [
    ["shaders", "wgsl", "src/backend/wgpu/manifest.rs"],
    ["kernels", "cu", "src/backend/cuda/manifest.rs"],
];

fn main() {
    for path in ["build.rs", CONTRACTS, CPU] {
        println!("cargo:rerun-if-changed={path}");
    }
    for [directory, _, manifest] in SOURCES {
        println!("cargo:rerun-if-changed={directory}\ncargo:rerun-if-changed={manifest}");
    }
    let kernels: BTreeSet<String> = stems(CONTRACTS, "rs")
        .iter()
        .flat_map(|area| names(&format!("{CONTRACTS}/{area}.rs"), " = \"", "\" {"))
        .collect();
    let cpu = stems(CPU, "rs");
    let mut errors = Vec::new();
    let mut missing = |names: &BTreeSet<String>, from: &BTreeSet<String>, say: &dyn Fn(&str) -> String| {
        errors.extend(names.difference(from).map(|name| say(name)));
    };
    missing(&kernels, &cpu, &|k| format!("kernel {k} has no {CPU}/{k}.rs"));
    for [directory, ending, manifest] in SOURCES {
        // Lines of a manifest read: Variant … "name" |parameters| groups;
        let listed = names(manifest, " \"", "\" |");
        let files = stems(directory, ending);
        missing(&files, &kernels, &|k| {
            format!("{directory}/{k}.{ending} is no kernel of {CONTRACTS}")
        });
        missing(&files, &listed, &|k| {
            format!("{directory}/{k}.{ending} is not listed in {manifest}")
        });
        missing(&listed, &files, &|k| {
            format!("{manifest} lists {k}, but there is no {directory}/{k}.{ending}")
        });
    }
    if kernels.is_empty() {
        errors.push(format!("no kernel was found in {CONTRACTS}: has its form changed?"));
    }
    if !errors.is_empty() {
        for error in errors {
            eprintln!("{error}");
        }
        process::exit(1);
    }
}

/// Names that stand between `before` and `after` on a line of a file.
fn names(path: &str, before: &str, after: &str) -> BTreeSet<String> {
    read(path)
        .lines()
        .filter_map(|line| line.split_once(before)?.1.split_once(after))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Names of the files with this ending in a directory.
fn stems(directory: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| fail(directory, &e));
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| fail(path, &e))
}

fn fail(path: &str, error: &std::io::Error) -> ! {
    eprintln!("{path}: {error}");
    process::exit(1);
}
