//! `gmatrix gram`

use std::process::ExitCode;

use super::args::GramArgs;
use super::{engine, measure};
use crate::error::Result;

pub(super) fn run(args: &GramArgs) -> Result<ExitCode> {
    let measured = engine::gram(args)?;
    measure::write(&measured, args.gram.as_deref(), args.json.as_deref())
}
