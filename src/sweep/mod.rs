//! Sweeps: many runs from one file, trained side by side, into one directory.
//!
//! ```text
//! SWEEP.toml ──► SweepSpec: all runs, numbered ──► packs: runs of one plan ──► worker ──► runs/000000/ …
//!                                                                                 │
//!                                              slots of a trainer, refilled as runs end
//! runs/*/metrics.parquet, run.json ──► summary of each run ──► runs.parquet, report.html
//! ```
//!
//! # Killed at any instant
//!
//! Every run has a run directory of its own ([`crate::record`]), with all that it promises: nothing is lost beyond the
//! last checkpoint, doubled or torn. Who does a run is decided by the lock of its directory, which the system frees when
//! a process dies, so that any number of workers can share a sweep and take over from each other. A run's bits do not
//! depend on its neighbours, its slot or where it was stopped, so neither does the sweep's data.

mod axis;
mod filter;
mod sample;
mod section;
pub mod sobol;
mod spec;

#[cfg(feature = "record")]
mod collect;
#[cfg(feature = "record")]
mod directory;
#[cfg(feature = "record")]
mod estimate;
#[cfg(feature = "record")]
mod pack;
#[cfg(feature = "record")]
mod profile;
#[cfg(feature = "record")]
mod shard;
#[cfg(feature = "record")]
mod summary;
#[cfg(feature = "record")]
mod twins;
#[cfg(feature = "record")]
mod worker;

pub use spec::{PRECISION, SweepRun, SweepSpec};
#[cfg(feature = "record")]
pub use {
    collect::{EndedRun, collect},
    directory::SweepDirectory,
    estimate::seconds_per_step,
    pack::{Pack, packs},
    profile::{PackProfile, profile_tables, profiles, write_sweep_trace},
    shard::Shard,
    worker::{How, Progress, Watcher, work},
};
