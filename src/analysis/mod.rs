//! What a recorded series says about a run: plain functions on series, on the host.
//!
//! A series is a slice of steps in increasing order and a slice of values of the same length, where NaN is "not
//! measured".

pub mod noise_scale;
pub mod transitions;
