//! `gmatrix bench`

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use regex::bytes::RegexBuilder;

use super::args::BenchArgs;
use super::{engine, output};
use crate::bench::{Bench, Options};
use crate::error::{Error, Result};
use crate::report;

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let text = args.filter.as_deref().unwrap_or("");
    // Names are ASCII.
    let filter = RegexBuilder::new(text).unicode(false).build().map_err(|why| {
        let why = why.to_string();
        let last = why
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        Error::config(format!("--filter {text}: {last}, expected a regular expression"))
    })?;
    let is_watched = std::io::stderr().is_terminal();
    let options = Options {
        quick: args.quick,
        wanted: &|name| filter.is_match(name.as_bytes()),
        progress: &|what| {
            if is_watched {
                eprintln!("measuring {what}");
            }
        },
    };
    let bench = engine::bench(args.backend, &options).map_err(|error| match error.kind() {
        crate::ErrorKind::Config(why) => Error::config(format!("--filter {text}: {why}")),
        _ => error,
    })?;
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => output::print(&json(&bench)?)?,
        Some(path) => {
            output::print(&bench.table())?;
            std::fs::write(path, json(&bench)?).map_err(|e| Error::io(path, e))?;
            report::write_bench(&path.with_extension("html"), &bench)?;
        }
        None => output::print(&bench.table())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn json(bench: &Bench) -> Result<String> {
    let text = serde_json::to_string_pretty(bench).map_err(|e| Error::numeric(e.to_string()))?;
    Ok(text + "\n")
}
