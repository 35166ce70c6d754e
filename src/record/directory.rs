//! The run directory: who may write in it, its checkpoints, and what of it survives a kill.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::info::{self, RunInfo};
use super::row::MetricsRow;
use super::{listing, metrics};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::files;
use crate::tensors::TensorSet;

/// Name of the complete configuration.
pub(super) const CONFIG: &str = "config.toml";
/// Name of the file whose lock says that a process writes here. It stays: removing it would race with the next owner.
const LOCK: &str = "run.lock";
/// Name of the folder with weights and states.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// Name of the folder with the weights of the steps between.
const KEPT: &str = "weights";
pub(super) const WEIGHTS: &str = ".safetensors";
pub(super) const STATE: &str = ".state.safetensors";

/// A run directory that this process alone may write in.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

/// A run that was found in a directory.
#[derive(Debug)]
pub enum Resumed {
    /// It ended for good; nothing is left to do.
    Finished(Box<RunInfo>),
    /// It goes on.
    Unfinished(Box<Unfinished>),
}

/// What is needed to go on with a run.
#[derive(Debug)]
pub struct Unfinished {
    /// Its directory, locked, with all that is later than the checkpoint removed.
    pub directory: RunDirectory,
    /// Its configuration.
    pub config: Config,
    /// What was known about it at the checkpoint.
    pub info: RunInfo,
    /// Where it goes on; `None` starts at step 0.
    pub checkpoint: Option<Checkpoint>,
}

/// A checkpoint to go on from.
#[derive(Debug)]
pub struct Checkpoint {
    /// Steps made.
    pub step: u64,
    /// All persistent buffers of the run.
    pub state: TensorSet,
}

impl RunDirectory {
    /// Makes `path` a new run directory, with the configuration as its first file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it is not empty, in use, or cannot be written.
    pub fn create(path: &Path, config: &Config) -> Result<Self> {
        fs::create_dir_all(path).map_err(|e| Error::io(path, format!("cannot be created: {e}")))?;
        refuse_unless_empty(path)?;
        Self::lock(path)?.begin(config)
    }

    /// Makes `path` a new run directory that begins at a checkpoint: weights and state. The configuration is its last file,
    /// so that a directory without one is no run, and never one that begins at step 0.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_at(
        path: &Path,
        config: &Config,
        (weights, state): (&TensorSet, &TensorSet),
        info: &RunInfo,
    ) -> Result<()> {
        fs::create_dir_all(path).map_err(|e| Error::io(path, format!("cannot be created: {e}")))?;
        refuse_unless_empty(path)?;
        let directory = Self::lock(path)?;
        refuse_unless_empty(path)?;
        directory.make_folders()?;
        state.write(&directory.checkpoint_path(info.step, STATE))?;
        weights.write(&directory.checkpoint_path(info.step, WEIGHTS))?;
        info::write(path, info)?;
        let text = config.to_toml()?;
        files::replace(&path.join(CONFIG), |file| file.write_all(text.as_bytes()))
    }

    /// Writes the first files of a run.
    pub(super) fn begin(self, config: &Config) -> Result<Self> {
        // Another process may have been faster between the look and the lock.
        refuse_unless_empty(&self.path)?;
        let config_path = self.path.join(CONFIG);
        let text = config.to_toml()?;
        files::replace(&config_path, |file| file.write_all(text.as_bytes()))?;
        self.make_folders()?;
        Ok(self)
    }

    /// Makes a new directory `root/name`, or the first of `root/name-2`, `root/name-3`, … that does not exist.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it cannot be written.
    pub fn create_numbered(root: &Path, name: &str, config: &Config) -> Result<Self> {
        fs::create_dir_all(root).map_err(|e| Error::io(root, format!("cannot be created: {e}")))?;
        let mut k = 1;
        loop {
            let path = root.join(if k == 1 { name.to_owned() } else { format!("{name}-{k}") });
            match fs::create_dir(&path) {
                Ok(()) => return Self::create(&path, config),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => k += 1,
                Err(e) => return Err(Error::io(path, format!("cannot be created: {e}"))),
            }
        }
    }

    /// Goes on with the run in `path`: takes the newest complete checkpoint and removes whatever is later.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it is not a run directory, is in use, or its newest checkpoint is damaged.
    pub fn resume(path: &Path) -> Result<Resumed> {
        let config_path = path.join(CONFIG);
        if !config_path.is_file() {
            return Err(Error::io(path, format!("is not a run directory: it holds no {CONFIG}")));
        }
        // A finished run is only read, which needs no lock.
        if path.join(info::FILE).exists() {
            let info = info::read_run_info(path)?;
            if info.ended.is_some_and(|ended| ended.is_final()) {
                return Ok(Resumed::Finished(Box::new(info)));
            }
        }
        Self::lock(path)?.go_on()
    }

    /// Finds where the run in this directory goes on.
    pub(super) fn go_on(self) -> Result<Resumed> {
        let config = Config::from_file(&self.path.join(CONFIG))?;
        // Read under the lock: until then another process may have written.
        let info = match self.path.join(info::FILE).exists() {
            true => info::read_run_info(&self.path)?,
            false => RunInfo::default(),
        };
        if info.ended.is_some_and(|ended| ended.is_final()) {
            return Ok(Resumed::Finished(Box::new(info)));
        }
        self.make_folders()?;
        let step = self.newest_checkpoint()?;
        // Read before anything is removed: a damaged checkpoint must not cost more than itself.
        let checkpoint = match step {
            Some(step) => Some(self.read_checkpoint(step)?),
            None => None,
        };
        self.remove_later_than(step)?;
        Ok(Resumed::Unfinished(Box::new(Unfinished {
            directory: self,
            config,
            info,
            checkpoint,
        })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records all that happened since the last checkpoint: the rows, the weights and the state, then `run.json`.
    /// When this returns, the run can be resumed from `info.step`; if it fails, from the checkpoint before.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] names the file that could not be written.
    pub fn checkpoint(
        &self,
        columns: &[String],
        rows: &[MetricsRow],
        weights: &TensorSet,
        state: &TensorSet,
        info: &RunInfo,
    ) -> Result<()> {
        metrics::write_part(&self.path, info.step, columns, rows)?;
        state.write(&self.checkpoint_path(info.step, STATE))?;
        weights.write(&self.checkpoint_path(info.step, WEIGHTS))?;
        metrics::join(&self.path, info.ended.is_some())?;
        info::write(&self.path, info)
    }

    /// Keeps the weights of a step that need not be one of a checkpoint.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] names the file that could not be written.
    pub fn keep_weights(&self, step: u64, weights: &TensorSet) -> Result<()> {
        let folder = self.path.join(KEPT);
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, format!("cannot be created: {e}")))?;
        weights.write(&folder.join(format!("step-{step:08}{WEIGHTS}")))
    }

    /// Replaces `run.json`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it cannot be written.
    pub fn write_info(&self, info: &RunInfo) -> Result<()> {
        info::write(&self.path, info)
    }

    fn lock(path: &Path) -> Result<Self> {
        // A process that is just being started holds copies of its parent's locks until it has begun: such a lock goes
        // away within moments, and only one that stays means another run.
        for _ in 0..25 {
            if let Some(directory) = Self::try_lock(path)? {
                return Ok(directory);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Self::try_lock(path)?.ok_or_else(|| Error::io(path, "is in use by another gmatrix process"))
    }

    /// The directory `path`, made where it is not there; none if another process holds it.
    pub(super) fn try_lock_new(path: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(path).map_err(|e| Error::io(path, format!("cannot be created: {e}")))?;
        Self::try_lock(path)
    }

    fn try_lock(path: &Path) -> Result<Option<Self>> {
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| Error::io(&lock_path, format!("cannot be written: {e}")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some network file systems have no locks; the run is worth more than the guard.
            Err(TryLockError::Error(e)) => tracing::warn!("{}: cannot be locked: {e}", lock_path.display()),
        }
        Ok(Some(Self {
            path: path.to_path_buf(),
            _lock: lock,
        }))
    }

    fn make_folders(&self) -> Result<()> {
        for name in [metrics::PARTS, CHECKPOINTS] {
            let folder = self.path.join(name);
            fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, format!("cannot be created: {e}")))?;
        }
        files::sync_directory(&self.path).map_err(|e| Error::io(&self.path, e))
    }

    fn checkpoint_path(&self, step: u64, suffix: &str) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("step-{step:08}{suffix}"))
    }

    /// The greatest step with both files. The weights are written last, so they alone say that a checkpoint is
    /// complete; the state is looked for too, since users may have removed it to save space.
    fn newest_checkpoint(&self) -> Result<Option<u64>> {
        let names = listing::names(&self.path.join(CHECKPOINTS))?;
        let steps = names
            .iter()
            .filter_map(|name| listing::number_in(name, "step-", WEIGHTS));
        Ok(steps.filter(|&step| self.checkpoint_path(step, STATE).exists()).max())
    }

    fn read_checkpoint(&self, step: u64) -> Result<Checkpoint> {
        let path = self.checkpoint_path(step, STATE);
        let state = TensorSet::read(&path).map_err(|e| match e.kind() {
            ErrorKind::Io { reason, .. } => Error::io(
                &path,
                format!("{reason}; remove it to resume from the checkpoint before it"),
            ),
            _ => e,
        })?;
        Ok(Checkpoint { step, state })
    }

    fn remove_later_than(&self, step: Option<u64>) -> Result<()> {
        for folder in ["", metrics::PARTS, CHECKPOINTS, KEPT] {
            let folder = self.path.join(folder);
            for name in listing::names(&folder)? {
                let later = [STATE, WEIGHTS]
                    .iter()
                    .find_map(|suffix| listing::number_in(&name, "step-", suffix))
                    .is_some_and(|found| step.is_none_or(|step| found > step));
                if later || listing::is_unfinished(&name) {
                    listing::remove(&folder.join(name))?;
                }
            }
        }
        metrics::truncate(&self.path, step)
    }
}

/// Whether a branch was begun in a directory that was killed before it was one.
pub fn is_unfinished_branch(path: &Path) -> bool {
    path.join(CHECKPOINTS).is_dir() && !path.join(CONFIG).is_file()
}

/// A checkpoint of a run at a step, or its newest: the step, the file of the weights, and the state.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it is no run directory, has no complete checkpoint there, or it is damaged.
pub fn read_state(path: &Path, step: Option<u64>) -> Result<(u64, PathBuf, TensorSet)> {
    if !path.join(CONFIG).is_file() {
        return Err(Error::io(path, format!("is not a run directory: it holds no {CONFIG}")));
    }
    let folder = path.join(CHECKPOINTS);
    let names = listing::names(&folder)?;
    let with = |suffix| -> Vec<u64> {
        let numbers = names
            .iter()
            .filter_map(|name| listing::number_in(name, "step-", suffix));
        numbers.collect()
    };
    let states = with(STATE);
    let complete: Vec<u64> = with(WEIGHTS).into_iter().filter(|step| states.contains(step)).collect();
    let found = match step {
        Some(step) => complete.contains(&step).then_some(step),
        None => complete.last().copied(),
    };
    let Some(found) = found else {
        let steps: Vec<String> = complete.iter().map(ToString::to_string).collect();
        return Err(Error::io(
            path,
            match (step, steps.is_empty()) {
                (Some(step), false) => format!(
                    "has no checkpoint with its state at step {step}, expected one of {}",
                    steps.join(", ")
                ),
                _ => "has no checkpoint with its state yet".to_owned(),
            },
        ));
    };
    let file = |suffix| folder.join(format!("step-{found:08}{suffix}"));
    Ok((found, file(WEIGHTS), TensorSet::read(&file(STATE))?))
}

/// The weights of the newest checkpoint in a run directory, whether the run goes on or not.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it is no run directory or has no checkpoint.
pub fn newest_weights(path: &Path) -> Result<PathBuf> {
    if !path.join(CONFIG).is_file() {
        return Err(Error::io(path, format!("is not a run directory: it holds no {CONFIG}")));
    }
    let folder = path.join(CHECKPOINTS);
    let names = listing::names(&folder)?;
    let newest = names
        .iter()
        .filter_map(|name| Some((listing::number_in(name, "step-", WEIGHTS)?, name)))
        .max();
    let (_, name) = newest.ok_or_else(|| Error::io(path, "has no checkpoint yet"))?;
    Ok(folder.join(name))
}

/// All weights in a run directory by their step, ascending: those of checkpoints and those kept between them.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it cannot be read.
pub fn kept_weights(path: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = BTreeMap::new();
    for folder in [CHECKPOINTS, KEPT] {
        let folder = path.join(folder);
        for name in listing::names(&folder)? {
            if let Some(step) = listing::number_in(&name, "step-", WEIGHTS) {
                found.insert(step, folder.join(name));
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// A directory counts as empty if a run was killed in it before its configuration was written.
fn refuse_unless_empty(path: &Path) -> Result<()> {
    let names = listing::names(path)?;
    match names.iter().find(|name| *name != LOCK && !listing::is_unfinished(name)) {
        Some(name) => Err(Error::io(
            path,
            format!("is not empty (it holds {name}); a new run needs a new or empty directory"),
        )),
        None => Ok(()),
    }
}
