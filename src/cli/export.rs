//! `gmatrix export`

use std::process::ExitCode;

use super::args::ExportArgs;
use super::engine;
use crate::error::Result;

pub(super) fn run(args: &ExportArgs) -> Result<ExitCode> {
    if let Some(weights) = &args.transformer_lens {
        engine::export_weights(weights, args)?;
    }
    if let Some(run) = &args.examples {
        engine::export_examples(run, args)?;
    }
    Ok(ExitCode::SUCCESS)
}
