//! Where the commands meet the library: the only file of the program that knows trainers, backends and reports.

use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;

use super::args::{DeviceArgs, MeasureArgs};
use crate::config::{Config, Property};
use crate::error::{Error, Result};
use crate::record::{Run, TensorSet};

/// A device that can compute.
#[derive(Debug, Serialize)]
pub(super) struct DeviceRow {
    /// `cuda`, `wgpu` or `cpu`.
    pub backend: String,
    /// What it is called.
    pub name: String,
    /// The precisions it can compute in.
    pub precisions: Vec<String>,
    /// Driver and version, where there is one.
    pub driver: Option<String>,
}

/// What `measure` found.
#[derive(Debug)]
pub(super) struct Measured {
    /// The flat statistics, and `ntcov`.
    pub statistics: serde_json::Value,
    /// The Gram matrix, if asked for.
    pub gram: Option<TensorSet>,
    /// The gradients of the samples, if asked for.
    pub per_sample_gradients: Option<TensorSet>,
}

/// All devices present.
pub(super) fn devices() -> Vec<DeviceRow> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    vec![DeviceRow {
        backend: "cpu".to_owned(),
        name: format!("{} threads", threads),
        precisions: vec!["f32".to_owned(), "f64".to_owned()],
        driver: None,
    }]
}

/// A run of this configuration, before its first step.
pub(super) fn open_run(_config: &Config, _device: DeviceArgs) -> Result<Box<dyn Run>> {
    Err(not_yet("train"))
}

/// What would be launched.
pub(super) fn plan_table(_config: &Config, _device: DeviceArgs) -> Result<String> {
    Err(not_yet("train --print-plan"))
}

/// Measures given weights on given data.
pub(super) fn measure(_args: &MeasureArgs, _properties: &[Property]) -> Result<Measured> {
    Err(not_yet("measure"))
}

/// Writes the report of a run directory, and says where.
pub(super) fn report(_dir: &Path) -> Result<PathBuf> {
    Err(not_yet("report"))
}

fn not_yet(command: &str) -> Error {
    Error::unsupported(format!("{command}: not part of this build"))
}
