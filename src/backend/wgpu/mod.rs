//! The portable GPU executor: WGSL through wgpu, on Vulkan, Metal or DX12, within WebGPU's default limits.
//!
//! A shader file holds a kernel's body alone. What the contract already says (constants, parameters, bindings with
//! their access) is generated from it and put in front, see [`source`]; so nothing is typed twice, and naga's
//! reflection in `tests/contract.rs` shows that bodies use bindings as the contract allows.
//!
//! ```text
//! shaders/k.wgsl + shaders/shared/*.wgsl + contract + specialisation ── source() ──► module ──► pipeline, cached
//! launch ──► bind group of ranges of arenas, offsets and parameters in one uniform buffer, grid; all recorded once
//! ```
//!
//! Each arena is one buffer, as large as the adapter allows. A launch binds of it what its argument spans over all runs;
//! where that exceeds the largest binding it is split over runs, whose results do not depend on it. So what must fit one
//! binding is a single argument of a single run.
//!
//! A device that is lost, out of memory or refuses something makes an error that says what was being done: which kernel
//! was compiled or bound, which segments were submitted, which buffer was read. A lost device stays lost; the next
//! executor gets a new one.
//!
//! Real numbers are f32. Wide numbers are pairs of f32 (`shaders/shared/wide.wgsl`): 44 bits and more, but the exponent
//! range of f32, so that what is below 1e-38, as the square of a gradient of 1e-20, becomes 0.

mod argument;
mod clock;
mod device;
mod executor;
mod manifest;
mod readback;
mod record;
mod software;
mod source;

pub use device::{AdapterSummary, DeviceOptions, adapters, probe};
pub use executor::WgpuExecutor;
pub use manifest::{ABSENT, capabilities, capabilities_on, kernels};
pub use source::source;
