//! Per-sample gradients, their Gram matrix, effective rank and ntcov, measured on device while a network trains.

pub mod analysis;
pub mod config;
pub mod error;
pub mod model;
pub mod record;
#[cfg(feature = "report")]
pub mod report;

pub use error::{Error, ErrorKind, Result};
