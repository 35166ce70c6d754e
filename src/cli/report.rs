//! `gmatrix report DIR`

use std::process::ExitCode;

use super::args::ReportArgs;
use super::{engine, output};
use crate::error::Result;

pub(super) fn run(args: &ReportArgs) -> Result<ExitCode> {
    let path = engine::report(&args.dir)?;
    output::print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
