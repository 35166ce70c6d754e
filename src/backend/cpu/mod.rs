//! The CPU executor: every kernel in Rust, in f32 and f64 from one source.
//!
//! Products go through faer, sequentially within fixed panels; rayon spreads panels and runs over threads. The number
//! of threads never decides about the order of a sum, so results are the same to the bit on any number of them.

mod args;
mod executor;
mod kernels;
mod lanes;
mod memory;
mod scalar;

pub use args::{Args, Slot};
pub use executor::{CpuExecutor, capabilities};
pub use scalar::Scalar;
