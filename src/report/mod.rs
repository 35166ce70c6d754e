//! `report.html`: one self-contained page with interactive charts of one run.
//!
//! ```text
//! metrics, structure, run.json, config.toml ──► recorded (rows of one run) ──► charts ──► page ──► report.html
//!                                           └──► facts (words, numbers) ──┘
//! ```
//!
//! The page holds plotly.js, its data and its own script, and asks the network for nothing: its content security
//! policy forbids it. A chart whose columns were not measured is left out and named at the end of the page.

mod chart;
mod charts;
mod facts;
mod page;
mod recorded;
mod roofline;
mod signed_log;
mod style;
mod sweep;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use crate::alignment::read_alignment;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::record::{RunInfo, read_metrics, read_run_info};
use crate::selection::read_selection;
use crate::structure::read_structure;
use facts::Facts;
use recorded::Recorded;
pub use roofline::write_bench;

pub use sweep::write_sweep_report;

/// Name of the report in a run directory.
pub const FILE: &str = "report.html";

/// Writes the report of the run in `dir` and returns its path. The run may still be in progress.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if the directory or its metrics are missing or damaged, or the report cannot be written;
/// what [`Config::from_file`] says of its configuration.
pub fn write_report(dir: &Path) -> Result<PathBuf> {
    if !dir.is_dir() {
        return Err(Error::io(dir, "no such directory; expected a run directory"));
    }
    let mut table = read_metrics(dir)?;
    for more in [read_structure(dir)?, read_alignment(dir)?, read_selection(dir)?]
        .into_iter()
        .flatten()
    {
        table.join(&more);
    }
    let config_path = dir.join("config.toml");
    let config = Config::from_file(&config_path)?;
    let config_text = fs::read_to_string(&config_path).map_err(|e| Error::io(&config_path, e))?;
    let info = read_info(dir)?;

    let recorded = Recorded::new(&table);
    let facts = Facts::gather(&config, info.as_ref(), &recorded);
    let name = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let page = page::render(&page::Content {
        name: &name.file_name().unwrap_or_default().to_string_lossy(),
        facts: &facts,
        sections: &charts::draw(&recorded, &config),
        recorded: &recorded,
        config: &config_text,
    })?;
    let path = dir.join(FILE);
    fs::write(&path, page).map_err(|e| Error::io(&path, e))?;
    Ok(path)
}

/// `run.json`, which a run writes at its first checkpoint; none before.
fn read_info(dir: &Path) -> Result<Option<RunInfo>> {
    if dir.join("run.json").exists() {
        read_run_info(dir).map(Some)
    } else {
        Ok(None)
    }
}
