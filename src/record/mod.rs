//! The record of a run: its directory, its metrics, its checkpoints, and the loop that keeps them.
//!
//! ```text
//! config.toml                               complete configuration, written first
//! metrics/part-00002000.parquet             rows between two checkpoints, named by the later one
//! metrics.parquet                           the parts before, joined
//! checkpoints/step-00002000.safetensors     weights
//! checkpoints/step-00002000.state.safetensors   every persistent buffer
//! weights/step-00000020.safetensors         weights between checkpoints, where they are kept
//! run.json                                  device, timings, how it ended
//! run.lock                                  locked by the process that writes
//! ```
//!
//! # Killed at any instant
//!
//! Every file is written under another name (`.unfinished-…`), flushed, renamed, and its directory flushed, so that a
//! name either holds all of its contents or is not there. What a kill leaves at each instant of a checkpoint at step c:
//!
//! | killed after | left | on resume |
//! |---|---|---|
//! | nothing | the checkpoint before, b | goes on from b |
//! | the part | rows of (b, c], which readers see | the part is later than b: removed, measured again |
//! | the state | a state without weights | not a checkpoint: removed, goes on from b |
//! | the weights | the checkpoint c is complete | goes on from c |
//! | the join was renamed | parts whose rows are also in `metrics.parquet` | ignored by readers, since the joined file names the last checkpoint it holds; removed by the next join |
//! | the parts are removed | all but `run.json`, which tells of b | goes on from c; the time since b is missing in the timings |
//! | `run.json` | all | goes on from c, or is finished |
//!
//! The order is part, state, weights, join, `run.json`: what a file relies on is on disk before it. `run.json` says that
//! a run ended only after its rows are joined. A join copies all joined rows, so it waits until the parts hold a quarter
//! as many rows as `metrics.parquet`, or the run ends: over a whole run each row is then copied about five times,
//! not once per checkpoint.
//!
//! Removing what is later than the checkpoint is itself repeatable: a kill in the midst of it leaves less to remove.
//! If the disk is full, the error names the file and the directory is as if killed at that instant.

mod row;

#[cfg(feature = "record")]
mod claim;
#[cfg(feature = "record")]
mod directory;
#[cfg(feature = "record")]
mod info;
#[cfg(feature = "record")]
mod listing;
#[cfg(feature = "record")]
mod metrics;
#[cfg(feature = "record")]
mod parquet_file;
#[cfg(feature = "record")]
mod session;

pub use crate::tensors::{Dtype, Element, NamedTensor, TensorSet};
pub use row::{EndReason, Ended, MetricsRow};
#[cfg(feature = "record")]
pub(crate) use {
    claim::{Claim, Claimed, claim, is_finished, keep_last_weights},
    info::{read_json, write_json},
    listing::names,
    parquet_file::write_table,
    session::{Recording, Snapshot},
};
#[cfg(feature = "record")]
pub use {
    directory::{
        Checkpoint, Resumed, RunDirectory, Unfinished, is_unfinished_branch, kept_weights, newest_weights, read_state,
    },
    info::{Lineage, RunInfo, Timings, read_run_info},
    metrics::{MetricsTable, read_metrics, read_rows, write_named_rows},
    session::{Chunk, Observer, Run, record},
};
