//! `gmatrix alignment DIR`

use std::process::ExitCode;

use super::args::AlignmentArgs;
use super::{engine, output};
use crate::error::Result;

pub(super) fn run(args: &AlignmentArgs) -> Result<ExitCode> {
    let steps = engine::alignment(args)?;
    engine::report(&args.dir)?;
    output::print(&format!("{}: alignment at {steps} steps\n", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
