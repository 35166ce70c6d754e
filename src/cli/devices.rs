//! `gmatrix devices`

use std::process::ExitCode;

use super::args::DevicesArgs;
use super::{engine, output};
use crate::error::{Error, Result};

pub(super) fn run(args: &DevicesArgs) -> Result<ExitCode> {
    let devices = engine::devices();
    if args.json {
        let json = serde_json::to_string_pretty(&devices).map_err(|e| Error::device(e.to_string()))?;
        output::print(&(json + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![
        ["backend", "device", "precisions", "driver"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for device in devices {
        rows.push(vec![
            device.backend,
            device.name,
            device.precisions.join(" "),
            device.driver.unwrap_or_default(),
        ]);
    }
    output::print(&output::table(&rows))?;
    Ok(ExitCode::SUCCESS)
}
