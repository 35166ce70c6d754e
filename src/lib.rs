//! Per-sample gradients, their Gram matrix, effective rank and ntcov, measured on device while a network trains.

pub mod analysis;
pub mod backend;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod loss;
pub mod measure;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod random;
pub mod record;
#[cfg(feature = "report")]
pub mod report;
pub mod stats;
pub mod task;
mod tensor_file;
pub mod trainer;

pub use error::{Error, ErrorKind, Result};
