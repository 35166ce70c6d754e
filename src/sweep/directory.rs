//! The directory of a sweep: whose sweep it is, and where its runs are.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::spec::SweepSpec;
use crate::error::{Error, Result};
use crate::{files, record};

/// Name of the file that says what is swept.
pub const SPEC: &str = "sweep.toml";
/// Name of the file whose lock keeps two processes from writing what belongs to the whole sweep. It stays.
const LOCK: &str = "sweep.lock";
/// Name of the folder with the run directories.
const RUNS: &str = "runs";

/// A directory that holds, or will hold, the runs of a sweep.
#[derive(Debug, Clone)]
pub struct SweepDirectory {
    path: PathBuf,
}

impl SweepDirectory {
    /// Makes `path` the directory of a new sweep; with `join`, one that this sweep has already is taken as well.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it holds something else, or cannot be written.
    pub fn open(path: &Path, spec: &SweepSpec, join: bool) -> Result<Self> {
        fs::create_dir_all(path).map_err(|e| Error::io(path, format!("cannot be created: {e}")))?;
        let directory = Self {
            path: path.to_path_buf(),
        };
        directory.alone(|| directory.begin(spec, join))?;
        Ok(directory)
    }

    /// The directory of a sweep that was begun, and what is swept.
    ///
    /// # Errors
    /// As [`SweepSpec::read`]; [`crate::ErrorKind::Io`] if it is no directory of a sweep.
    pub fn find(path: &Path) -> Result<(Self, SweepSpec)> {
        if !Self::is_at(path) {
            return Err(Error::io(
                path,
                format!("is not a sweep's directory: it holds no {SPEC}"),
            ));
        }
        let spec = SweepSpec::read(&path.join(SPEC))?;
        Ok((
            Self {
                path: path.to_path_buf(),
            },
            spec,
        ))
    }

    /// Whether there is a sweep in a directory.
    pub fn is_at(path: &Path) -> bool {
        path.join(SPEC).is_file()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run directory of a run.
    pub fn run(&self, number: u32) -> PathBuf {
        self.path.join(RUNS).join(format!("{number:06}"))
    }

    /// Does something that no other process may do in this directory meanwhile.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if the lock cannot be written; what `work` says.
    pub fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let path = self.path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io(&path, format!("cannot be written: {e}")))?;
        // Some network file systems have no locks; the sweep is worth more than the guard.
        if let Err(e) = lock.lock() {
            tracing::warn!("{}: cannot be locked: {e}", path.display());
        }
        work()
    }

    fn begin(&self, spec: &SweepSpec, join: bool) -> Result<()> {
        let path = self.path.join(SPEC);
        if path.is_file() {
            let found = fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
            return match (found == spec.text, join) {
                (true, true) => Ok(()),
                (true, false) => Err(Error::io(
                    &self.path,
                    "holds this sweep already; --resume goes on with it, or joins it",
                )),
                (false, _) => Err(Error::io(
                    &path,
                    "is another sweep than the file says; a new sweep needs a new or empty directory",
                )),
            };
        }
        let names = record::names(&self.path)?;
        let other = names
            .iter()
            .find(|name| *name != LOCK && !name.starts_with(files::UNFINISHED));
        if let Some(name) = other {
            return Err(Error::io(
                &self.path,
                format!("is not empty (it holds {name}); a new sweep needs a new or empty directory"),
            ));
        }
        files::replace(&path, |file| file.write_all(spec.text.as_bytes()))
    }
}
