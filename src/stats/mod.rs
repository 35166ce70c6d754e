//! Statistics: each its formula, its ops, and its place in the metrics row.

pub mod columns;
