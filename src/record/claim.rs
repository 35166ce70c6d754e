//! Run directories that several processes may want: each run is done by the one that holds its lock.

use std::path::Path;

use super::directory::{CHECKPOINTS, CONFIG, Checkpoint, Resumed, RunDirectory, STATE, WEIGHTS};
use super::info::{self, RunInfo};
use super::listing;
use crate::config::Config;
use crate::error::{Error, Result};

/// What became of asking for a run.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is this process's.
    Ours(Box<Claimed>),
    /// It ended for good.
    Finished,
    /// Another process has it.
    Taken,
}

/// A run that this process alone does.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// Its directory, locked.
    pub directory: RunDirectory,
    /// What is known of it.
    pub info: RunInfo,
    /// Where it goes on; none where it begins.
    pub checkpoint: Option<Checkpoint>,
}

/// Asks for the run in `path`, which is made if it is not there. The lock of a process that died is free.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if the directory cannot be written or is damaged, or holds a run of another configuration.
pub(crate) fn claim(path: &Path, config: &Config) -> Result<Claim> {
    if is_finished(path)? {
        return Ok(Claim::Finished);
    }
    let Some(lock) = RunDirectory::try_lock_new(path)? else {
        return Ok(Claim::Taken);
    };
    if !path.join(CONFIG).is_file() {
        return Ok(Claim::Ours(Box::new(Claimed {
            directory: lock.begin(config)?,
            info: RunInfo {
                seed: config.task.seed,
                ..RunInfo::default()
            },
            checkpoint: None,
        })));
    }
    match lock.go_on()? {
        // Another process ended it between the look and the lock.
        Resumed::Finished(_) => Ok(Claim::Finished),
        Resumed::Unfinished(found) if found.config == *config => Ok(Claim::Ours(Box::new(Claimed {
            directory: found.directory,
            info: found.info,
            checkpoint: found.checkpoint,
        }))),
        Resumed::Unfinished(_) => Err(Error::io(
            path.join(CONFIG),
            "is another configuration than the sweep has for this run",
        )),
    }
}

/// Whether the run in a directory ended for good.
pub(crate) fn is_finished(path: &Path) -> Result<bool> {
    if !path.join(info::FILE).exists() {
        return Ok(false);
    }
    Ok(info::read_run_info(path)?.ended.is_some_and(|ended| ended.is_final()))
}

/// Removes what only an unfinished run needs: all states, and all weights but the last.
pub(crate) fn keep_last_weights(path: &Path) -> Result<()> {
    let folder = path.join(CHECKPOINTS);
    let names = listing::names(&folder)?;
    let weights = names
        .iter()
        .filter_map(|name| listing::number_in(name, "step-", WEIGHTS));
    let last = weights.max();
    for name in &names {
        let is_state = listing::number_in(name, "step-", STATE).is_some();
        let is_earlier = listing::number_in(name, "step-", WEIGHTS).is_some_and(|step| Some(step) < last);
        if is_state || is_earlier {
            listing::remove(&folder.join(name))?;
        }
    }
    Ok(())
}
