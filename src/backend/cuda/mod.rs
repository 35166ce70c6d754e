//! The CUDA executor: hand-written kernels, compiled when they are first needed, on the first device that can run them.
//!
//! The crate is built without any part of CUDA. When it runs, cudarc looks for the driver's library and for NVRTC;
//! [`probe`] says in a sentence what is missing. It takes a driver that knows CUDA 12.8 (12.0 with feature `cuda-12`), NVRTC
//! 12 or 13, and a device of compute capability 7.5 or newer.
//!
//! A `.cu` file holds a kernel's body alone, `run(args, group)`. What the contract already says (constants, parameters,
//! arguments, the test whether a run is due) is generated from it and put around, see [`source()`]; so nothing is typed
//! twice. Kernels include no header, so that NVRTC compiles them on any machine; and nothing in them is beyond the
//! words that `tests/cuda_host` gives a C++ compiler, so that conformance tests run them where there is no GPU.
//!
//! ```text
//! kernels/*.cuh + contract + specialisation + kernels/k.cu ── source() ──► NVRTC ──► machine code
//! launch ──► grid(): blocks of one run by runs;  arguments(): one struct, passed by value
//! segments of a step ──► captured once as a graph ──► replayed: one call of the host a step
//! ```
//!
//! [`ImageCache`] keeps the machine code on disk. For an architecture newer than NVRTC, PTX takes its place, which the
//! driver compiles.
//!
//! All work of an executor is in one stream, so that nothing needs to wait for anything else: uploads, launches, and copies
//! into pinned memory, each of which has an event at its end that the host waits for.
//!
//! Real numbers are f32 or f64, wide numbers f64.

mod cache;
#[cfg(feature = "cudarc")]
mod clock;
#[cfg(feature = "cudarc")]
mod compiler;
#[cfg(feature = "cudarc")]
mod device;
#[cfg(feature = "cudarc")]
mod driver;
#[cfg(feature = "cudarc")]
mod executor;
mod launch;
mod manifest;
#[cfg(feature = "cudarc")]
mod readback;
mod source;

pub use cache::{ImageCache, ImageKey};
#[cfg(feature = "cudarc")]
pub use device::{DeviceSummary, devices, probe};
#[cfg(feature = "cudarc")]
pub use executor::{CudaExecutor, Launching};
pub use launch::{arguments, grid};
pub use manifest::{ABSENT, capabilities, kernels};
pub use source::{common, preamble, source, specialisation};
