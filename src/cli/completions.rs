//! `gmatrix completions SHELL`

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::args::{Arguments, CompletionsArgs};
use super::output;
use crate::error::Result;

pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    // Generated into memory, since the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "gmatrix", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
