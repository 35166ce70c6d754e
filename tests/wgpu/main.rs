//! Every WGSL kernel against the CPU in f64, on whatever adapter there is (Mesa's lavapipe will do).
//!
//! Two run slots hold the same plan: slot 0 is due; slot 1 is not, is full of NaN, and must come out as it went in.
//! Every buffer that is only written holds NaN before, and every buffer has a neighbour that must not change.
#![cfg(feature = "wgpu")]

mod cases;
mod passes;
mod statistics;
#[cfg(feature = "record")]
mod training;
