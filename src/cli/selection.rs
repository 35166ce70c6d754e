//! `gmatrix selection DIR`

use std::process::ExitCode;

use super::args::SelectionArgs;
use super::{engine, output};
use crate::error::Result;

pub(super) fn run(args: &SelectionArgs) -> Result<ExitCode> {
    let steps = engine::selection(args)?;
    engine::report(&args.dir)?;
    output::print(&format!("{}: selection at {steps} steps\n", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
