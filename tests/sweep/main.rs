//! Sweeps: what a file says, how runs are packed, and that nothing is lost or doubled whoever is killed.

#![cfg(all(feature = "cli", unix))]

mod collected;
mod spec;
mod summaries;
mod work;
