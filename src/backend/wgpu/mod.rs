//! The portable GPU executor: WGSL through wgpu, on Vulkan, Metal or DX12, within WebGPU's default limits.
//!
//! A shader file holds a kernel's body alone. What the contract already says (constants, parameters, bindings with
//! their access) is generated from it and put in front, see [`source`]; so nothing is typed twice, and naga's
//! reflection in `tests/contract.rs` shows that bodies use bindings as the contract allows.
//!
//! ```text
//! shaders/k.wgsl + shaders/shared/*.wgsl + contract + specialisation ── source() ──► module ──► pipeline, cached
//! launch ──► bind group of whole arenas, offsets and parameters in one uniform buffer, grid; all recorded once
//! ```
//!
//! Real numbers are f32. Wide numbers are pairs of f32 (`shaders/shared/wide.wgsl`): 44 bits and more, but the exponent
//! range of f32, so that what is below 1e-38, as the square of a gradient of 1e-20, becomes 0.

mod clock;
mod device;
mod executor;
mod manifest;
mod readback;
mod record;
mod software;
mod source;

pub use device::{AdapterSummary, adapters, probe};
pub use executor::WgpuExecutor;
pub use manifest::{ABSENT, capabilities, kernels};
pub use source::source;
