//! The record of a run.

mod row;

#[cfg(feature = "record")]
mod files;
#[cfg(feature = "record")]
mod info;
#[cfg(feature = "record")]
mod metrics;
#[cfg(feature = "record")]
mod parquet_file;

pub use row::{EndReason, Ended, MetricsRow};
#[cfg(feature = "record")]
pub use {
    info::{RunInfo, Timings, read_run_info},
    metrics::{MetricsTable, read_metrics},
};
