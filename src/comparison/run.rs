//! Where the weights of a run or a file are.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::ModelShape;
use crate::model::weights::{Overrides, read_weights};
use crate::record::{kept_weights, newest_weights};

/// The weights of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The file they came from.
    pub file: PathBuf,
    /// Shape of the network.
    pub shape: ModelShape,
    /// The weights, in the order of its layout.
    pub weights: Vec<f64>,
}

impl Checkpoint {
    /// Reads the weights of a file, or of a run directory at a step (the newest checkpoint without).
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] names what is missing or damaged; [`crate::ErrorKind::Config`] if a file is asked for a step.
    pub fn read(path: &Path, step: Option<u64>) -> Result<Self> {
        let file = find_weights(path, step)?;
        let (shape, weights) = read_weights(&file, Overrides::default())?;
        Ok(Self { file, shape, weights })
    }
}

/// The weights file of a run directory at a step, or of its newest checkpoint; a path to a file is that file.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if the run kept no weights of this step, and says which are nearest; [`crate::ErrorKind::Config`] if a file is
/// asked for a step.
pub fn find_weights(path: &Path, step: Option<u64>) -> Result<PathBuf> {
    let Some(step) = step else {
        return if path.is_dir() {
            newest_weights(path)
        } else {
            Ok(path.to_path_buf())
        };
    };
    if !path.is_dir() {
        return Err(Error::config(format!(
            "{}: a step was asked for, expected a run directory",
            path.display()
        )));
    }
    let kept = kept_weights(path)?;
    if let Some((_, file)) = kept.iter().find(|(at, _)| *at == step) {
        return Ok(file.clone());
    }
    let below = kept.iter().rev().find(|(at, _)| *at < step);
    let above = kept.iter().find(|(at, _)| *at > step);
    let nearest: Vec<String> = [below, above]
        .into_iter()
        .flatten()
        .map(|(at, _)| at.to_string())
        .collect();
    Err(Error::io(
        path,
        match nearest.is_empty() {
            true => "holds no weights yet".to_owned(),
            false => format!(
                "kept no weights of step {step}; the nearest are of {}",
                nearest.join(" and ")
            ),
        },
    ))
}
