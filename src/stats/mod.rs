//! Statistics: each its formula, its ops, and its place in the metrics row.

pub mod columns;
pub mod further;
pub mod gram;
pub mod per_sample;
pub mod properties;
pub mod reduce;
pub mod stream;
