//! `gmatrix structure DIR`

use std::process::ExitCode;

use super::args::StructureArgs;
use super::{engine, output};
use crate::error::Result;

pub(super) fn run(args: &StructureArgs) -> Result<ExitCode> {
    let (steps, keys) = engine::structure(&args.dir, args.device)?;
    engine::report(&args.dir)?;
    let found = match keys.len() {
        0 => "no neuron belongs to a frequency yet".to_owned(),
        _ => {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            format!("key frequencies {} at the last", keys.join(", "))
        }
    };
    output::print(&format!("{}: weights of {steps} steps, {found}\n", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
