//! Per-sample gradients, their Gram matrix, effective rank and ntcov, measured on device while a network trains.

pub mod analysis;
pub mod backend;
pub mod config;
pub mod data;
pub mod error;
pub mod loss;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod random;
#[cfg(feature = "record")]
pub mod record;
#[cfg(feature = "report")]
pub mod report;
pub mod stats;
pub mod task;
mod tensor_file;

pub use error::{Error, ErrorKind, Result};
