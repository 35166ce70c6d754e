//! `gmatrix train` on a configuration in stages: a run for each, which begins where the one before ended.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::TrainArgs;
use super::train::{self, RUNS};
use super::{FAILED, INTERRUPTED, engine};
use crate::config::{Config, check_stages};
use crate::error::{Error, Result};
use crate::record::is_unfinished_branch;

/// The configuration of a stage, counted from 1, with the steps that are its own.
fn config_file(out: &Path, stage: usize) -> PathBuf {
    out.join(format!("stage-{stage}.toml"))
}

/// Whether a directory holds a run in stages.
pub(super) fn is_at(out: &Path) -> bool {
    config_file(out, 1).is_file()
}

/// Writes the configurations of all stages into a new directory, and runs them.
pub(super) fn start(name: &str, stages: &[Config], args: &TrainArgs) -> Result<u8> {
    check_stages(stages)?;
    if args.trace.is_some() {
        return Err(Error::config("--trace: is of one run, expected no stages"));
    }
    let out = match &args.out {
        Some(out) => {
            fs::create_dir_all(out).map_err(|e| Error::io(out, format!("cannot be created: {e}")))?;
            out.clone()
        }
        None => (1..)
            .map(|k| Path::new(RUNS).join(if k == 1 { name.to_owned() } else { format!("{name}-{k}") }))
            .find(|path| !path.exists())
            .unwrap_or_default(),
    };
    let is_empty = |path: &Path| fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty(&out) {
        return Err(Error::io(
            &out,
            "is not empty; a new run needs a new or empty directory",
        ));
    }
    fs::create_dir_all(&out).map_err(|e| Error::io(&out, format!("cannot be created: {e}")))?;
    // The first last: where it is, all are.
    for (k, config) in stages.iter().enumerate().rev() {
        let path = config_file(&out, k + 1);
        fs::write(&path, config.to_toml()?).map_err(|e| Error::io(&path, e))?;
    }
    go_on(&out, args)
}

/// Runs what is left of the stages in a directory.
pub(super) fn go_on(out: &Path, args: &TrainArgs) -> Result<u8> {
    let files = (1..).map(|k| config_file(out, k)).take_while(|path| path.is_file());
    let mut before: Option<PathBuf> = None;
    for (k, file) in files.enumerate() {
        let config = Config::from_file(&file)?;
        let dir = out.join(format!("stage-{}", k + 1));
        if is_unfinished_branch(&dir) {
            fs::remove_dir_all(&dir).map_err(|e| Error::io(&dir, format!("cannot be removed: {e}")))?;
        }
        let code = match (&before, dir.exists()) {
            (None, false) => train::start_in(&dir, &config, args)?,
            (Some(before), false) => {
                engine::next_stage(before, &dir, config)?;
                train::resume(&dir, args)?
            }
            (_, true) => train::resume(&dir, args)?,
        };
        if [INTERRUPTED, FAILED].contains(&code) {
            if code == INTERRUPTED {
                eprintln!(
                    "and with the stages behind it: gmatrix train --resume {}",
                    out.display()
                );
            }
            return Ok(code);
        }
        before = Some(dir);
    }
    Ok(0)
}
