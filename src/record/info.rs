//! `run.json`: on what a run ran, how fast, and how it ended.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::row::Ended;
use crate::error::{Error, Result};
use crate::files;

/// Name of the file in a run directory.
pub(super) const FILE: &str = "run.json";

/// What `run.json` holds. It is replaced as a whole at every checkpoint, after the checkpoint itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunInfo {
    /// Version of gmatrix.
    pub version: String,
    /// Backend, as `cuda`, `wgpu` or `cpu`.
    pub backend: String,
    /// Name of the device.
    pub device: String,
    /// Driver and its version, where there is one.
    pub driver: Option<String>,
    /// Precision, as `f32` or `f64`.
    pub precision: String,
    /// Seed of the run.
    pub seed: u64,
    /// P: parameters of the network.
    pub parameters: u64,
    /// Samples of the training split.
    pub samples: u64,
    /// What was chosen by timing or by the planner; a resumed run takes the same.
    pub choices: BTreeMap<String, String>,
    /// How long it took.
    pub timings: Timings,
    /// When the run was started (UTC, RFC 3339).
    pub started: String,
    /// When this file was written (UTC, RFC 3339).
    pub updated: String,
    /// Steps made when this file was written.
    pub step: u64,
    /// How it ended; null while it runs, or where it was killed.
    pub ended: Option<Ended>,
    /// First step with a training accuracy of at least 0.99.
    pub memorised_step: Option<u64>,
    /// First step at which the running median of the test accuracy was at least 0.95.
    pub grokked_step: Option<u64>,
    /// Where it branched off another run, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Lineage>,
}

/// Where a branch began, and what was changed there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Directory of the parent, as it was named.
    pub run: String,
    /// Updates made at the checkpoint.
    pub step: u64,
    /// What was done, as `ablate`.
    pub arm: String,
    /// The command line behind it.
    pub arguments: Vec<String>,
    /// SHA-256 of the parent's weights file at that step.
    pub weights_sha256: String,
}

/// Time spent on a run, all its resumed parts together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Seconds on the wall, with measuring and recording, up to the last checkpoint.
    pub wall_seconds: f64,
    /// Steps made per such second.
    pub steps_per_second: f64,
    /// Seconds by segment of the plan, where profiled.
    pub segments: BTreeMap<String, f64>,
}

/// Reads `run.json` of a run directory.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it is missing or not what a run writes.
pub fn read_run_info(dir: &Path) -> Result<RunInfo> {
    read_json(&dir.join(FILE))
}

/// Replaces `run.json`.
pub(super) fn write(dir: &Path, info: &RunInfo) -> Result<()> {
    write_json(&dir.join(FILE), info)
}

/// Reads a JSON file that gmatrix wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    serde_json::from_str(&text).map_err(|e| Error::io(path, format!("not a gmatrix {name}: {e}")))
}

/// Replaces a JSON file.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::io(path, e))?;
    text.push('\n');
    files::replace(path, |file| file.write_all(text.as_bytes()))
}

/// The present time, as `2025-01-31T23:59:59Z`.
pub(super) fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    rfc3339(seconds)
}

/// Unix time as UTC in the proleptic Gregorian calendar.
fn rfc3339(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Days since 0000-03-01: years that begin in March put the leap day last, so that month lengths are one formula.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn dates_are_gregorian() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
