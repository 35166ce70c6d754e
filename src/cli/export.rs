//! `gmatrix export`

use std::process::ExitCode;

use super::args::ExportArgs;
use super::engine;
use crate::error::Result;

pub(super) fn run(args: &ExportArgs) -> Result<ExitCode> {
    engine::export(args)?;
    Ok(ExitCode::SUCCESS)
}
