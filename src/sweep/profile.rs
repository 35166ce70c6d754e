//! Where a sweep's time goes: what the lanes of each pack did, and what its launches took, from all workers.
//!
//! A pack of R lanes makes R steps at once. A lane is masked from the step at which its run ends to the end of the chunk, and
//! empty where no run is left for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::directory::SweepDirectory;
use crate::backend::Executor;
use crate::backend::profile::{Profile, Profiled, Total, segment_names, table};
use crate::error::{Error, Result};
use crate::plan::{Capabilities, lower};
use crate::record::{names, read_json, write_json};

/// Name of the folder with what each worker noted.
const FOLDER: &str = "profile";
/// Name of the trace of all workers.
const TRACE: &str = "trace.json";
/// Launches of a pack that a trace keeps: with more from every worker no viewer would open it.
const EVENTS: usize = 20_000;

/// A pack, or a part of its runs, as one worker trained it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackProfile {
    /// The worker: its part of the sweep, if it had one, and its process.
    pub worker: String,
    /// Which pack of the sweep.
    pub pack: usize,
    /// Backend and device.
    pub device: String,
    /// Runs side by side.
    pub lanes: usize,
    /// When its first chunk began, in seconds of Unix time.
    pub began: f64,
    /// From then to the end of its last run, in seconds.
    pub seconds: f64,
    /// Of that, within chunks of steps: the rest is looking, recording and moving in.
    pub chunk_seconds: f64,
    /// Steps that its runs made.
    pub steps: u64,
    /// Steps that its lanes could have made.
    pub offered: u64,
    /// Of those, in lanes whose run had ended within the chunk.
    pub masked: u64,
    /// Of those, in lanes without a run.
    pub empty: u64,
    /// What its launches took, by kernel.
    pub kernels: BTreeMap<String, Total>,
    /// Its first launches, as events of a trace.
    pub events: Vec<Value>,
}

/// A pack under way.
pub(super) struct Watch {
    found: PackProfile,
    launches: Arc<Mutex<Profile>>,
    clock: Instant,
}

impl Watch {
    /// Times an executor's launches.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] if its device has no clock.
    pub fn begin(
        executor: Box<dyn Executor>,
        capabilities: &Capabilities,
        worker: &str,
        pack: usize,
        lanes: usize,
    ) -> Result<(Self, Box<dyn Executor>)> {
        let launches = lower(executor.plan(), capabilities)?;
        let launches = Arc::new(Mutex::new(Profile::new(launches, executor.precision())));
        let found = PackProfile {
            worker: worker.to_owned(),
            pack,
            device: format!("{} ({})", capabilities.backend, executor.device()),
            lanes,
            began: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64()),
            seconds: 0.0,
            chunk_seconds: 0.0,
            steps: 0,
            offered: 0,
            masked: 0,
            empty: 0,
            kernels: BTreeMap::new(),
            events: Vec::new(),
        };
        let timed = Profiled::new(executor, launches.clone())?;
        let clock = Instant::now();
        Ok((Self { found, launches, clock }, Box::new(timed)))
    }

    /// Counts a chunk of so many steps in every lane, of which the runs in `occupied` lanes made `made` together.
    pub fn chunk(&mut self, steps: u64, occupied: usize, made: u64, seconds: f64) {
        let found = &mut self.found;
        found.chunk_seconds += seconds;
        found.steps += made;
        found.offered += steps * found.lanes as u64;
        found.masked += steps * occupied as u64 - made;
        found.empty += steps * (found.lanes - occupied) as u64;
    }

    /// Writes what was found into the sweep's directory.
    pub fn finish(mut self, directory: &SweepDirectory) -> Result<()> {
        let found = &mut self.found;
        found.seconds = self.clock.elapsed().as_secs_f64();
        let launches = self.launches.lock().unwrap_or_else(PoisonError::into_inner);
        found.kernels = launches
            .totals()
            .into_iter()
            .map(|(name, total)| (name.to_owned(), total))
            .collect();
        found.events = launches.events().take(EVENTS).collect();
        let folder = directory.path().join(FOLDER);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, format!("cannot be created: {e}")))?;
        // No two packs of one process begin in the same microsecond.
        let name = format!("{:.6}-{}.json", found.began, std::process::id());
        write_json(&folder.join(name), found)
    }
}

/// What all workers of a sweep noted so far, in the order in which they began.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it cannot be read.
pub fn profiles(directory: &SweepDirectory) -> Result<Vec<PackProfile>> {
    let folder = directory.path().join(FOLDER);
    let is_ours = |name: &&String| name.ends_with(".json") && !name.starts_with('.') && *name != TRACE;
    let mut found: Vec<PackProfile> = names(&folder)?
        .iter()
        .filter(is_ours)
        .map(|name| read_json(&folder.join(name)))
        .collect::<Result<_>>()?;
    found.sort_by(|a, b| a.began.total_cmp(&b.began));
    Ok(found)
}

/// Two tables: packs by worker, with the shares of their lanes' steps that were made, masked and empty; and kernels.
pub fn profile_tables(profiles: &[PackProfile]) -> String {
    let mut text = format!(
        "{:<24} {:>4} {:>5} {:>9} {:>10} {:>10} {:>9} {:>6} {:>7} {:>6}  {}\n",
        "worker", "pack", "lanes", "steps", "seconds", "in chunks", "steps/s", "made", "masked", "empty", "device"
    );
    for pack in profiles {
        let share = |steps: u64| 100.0 * steps as f64 / pack.offered.max(1) as f64;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<24} {:>4} {:>5} {:>9} {:>10.3} {:>9.1}% {:>9.1} {:>5.1}% {:>6.1}% {:>5.1}%  {}",
            pack.worker,
            pack.pack,
            pack.lanes,
            pack.steps,
            pack.seconds,
            100.0 * pack.chunk_seconds / pack.seconds,
            pack.steps as f64 / pack.seconds,
            share(pack.steps),
            share(pack.masked),
            share(pack.empty),
            pack.device
        );
    }
    let mut kernels: BTreeMap<&str, Total> = BTreeMap::new();
    for (name, total) in profiles.iter().flat_map(|pack| &pack.kernels) {
        let sum = kernels.entry(name).or_default();
        sum.calls += total.calls;
        sum.seconds += total.seconds;
        sum.bytes += total.bytes;
        sum.flops += total.flops;
    }
    let mut kernels: Vec<(&str, Total)> = kernels.into_iter().collect();
    kernels.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
    format!("{text}\n{}", table(&kernels))
}

/// Writes the trace of all workers, a process for each and a track for each segment, for Perfetto or Chrome's
/// `about:tracing`; says where.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it cannot be written.
pub fn write_sweep_trace(directory: &SweepDirectory, profiles: &[PackProfile]) -> Result<PathBuf> {
    let first = profiles.iter().map(|pack| pack.began).fold(f64::INFINITY, f64::min);
    let mut workers: Vec<&str> = Vec::new();
    let mut events = Vec::new();
    for pack in profiles {
        let known = workers.iter().position(|worker| *worker == pack.worker);
        let process = known.unwrap_or_else(|| {
            let process = workers.len();
            workers.push(&pack.worker);
            events.push(json!({
                "name": "process_name", "ph": "M", "pid": process, "args": { "name": pack.worker },
            }));
            events.extend(segment_names(process));
            process
        });
        let offset = (pack.began - first) * 1e6;
        events.extend(pack.events.iter().map(|event| {
            let mut event = event.clone();
            event["pid"] = json!(process);
            event["ts"] = json!(offset + event["ts"].as_f64().unwrap_or(0.0));
            event
        }));
    }
    let path = directory.path().join(FOLDER).join(TRACE);
    write_json(&path, &json!({ "traceEvents": events }))?;
    Ok(path)
}
