//! The `gmatrix` program: flags are parsed in `args` and `intervene_args`, every command has a file, `engine` connects them to the library.

mod alignment;
mod args;
mod bench;
mod compare;
mod completions;
mod devices;
mod engine;
mod export;
mod gram;
mod interrupt;
mod intervene;
mod intervene_args;
mod measure;
mod output;
mod progress;
mod report;
mod selection;
mod slurm;
mod stages;
mod structure;
mod sweep;
mod theory;
mod train;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::error::{Error, ErrorKind};
use args::{Arguments, Command};

/// A failure, or a single run that diverged.
const FAILED: u8 = 1;
/// Wrong use: flags, configuration keys, names of properties.
const WRONG_USE: u8 = 2;
/// Interrupted by the user, with a checkpoint written.
const INTERRUPTED: u8 = 130;

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            // Help and version come this way too; where nobody reads them, nothing is lost.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { WRONG_USE } else { 0 });
        }
    };
    let filter = EnvFilter::try_from_env("GMATRIX_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let result = match arguments.command {
        Command::Devices(args) => devices::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Gram(args) => gram::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Alignment(args) => alignment::run(&args),
        Command::Selection(args) => selection::run(&args),
        Command::Structure(args) => structure::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Intervene(args) => intervene::run(&args),
        Command::Theory(args) => theory::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    result.unwrap_or_else(|e| {
        eprintln!("error: {}", one_line(&e));
        ExitCode::from(exit_code(&e))
    })
}

/// Compiler logs have many lines; scripts that read errors expect one.
fn one_line(error: &Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Config(_) => WRONG_USE,
        _ => FAILED,
    }
}
