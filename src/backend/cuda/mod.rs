//! CUDA kernels as text, and how they are launched; the executor that would do so is still to be written.
//!
//! A `.cu` file holds a kernel's body alone, `run(args, group)`. What the contract already says (constants, parameters,
//! arguments, the test whether a run is due) is generated from it and put around, see [`source()`]; so nothing is typed
//! twice. Kernels include no header, so that NVRTC compiles them on any machine; and nothing in them is beyond the
//! words that `tests/cuda_host` gives a C++ compiler, so that conformance tests run them where there is no GPU.
//!
//! ```text
//! kernels/*.cuh + contract + specialisation + kernels/k.cu ── source() ──► NVRTC ──► machine code
//! launch ──► grid(): blocks of one run by runs;  arguments(): one struct, passed by value
//! ```
//!
//! [`ImageCache`] keeps the machine code on disk.
//!
//! Real numbers are f32 or f64, wide numbers f64.

mod cache;
mod launch;
mod manifest;
mod source;

pub use cache::{ImageCache, ImageKey};
pub use launch::{arguments, grid};
pub use manifest::{ABSENT, capabilities, kernels};
pub use source::{common, preamble, source, specialisation};
