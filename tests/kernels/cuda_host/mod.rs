//! Backend `cuda-host`: the project's `.cu` files, compiled by the machine's C++ compiler and run on CUDA's execution
//! model as `tests/cuda_host` has it, so that the conformance cases reach them where there is no GPU.

mod executor;
mod library;
mod rules;
mod watched;

use std::sync::Arc;

use gmatrix::Result;
use gmatrix::backend::{Executor, Precision, cuda};
use gmatrix::plan::{Capabilities, Plan};

use executor::CudaHost;

/// What it can do: all CUDA kernels there are.
///
/// # Errors
/// If this machine has no C++ compiler.
pub fn capabilities() -> Result<Capabilities> {
    library::compiler()?;
    Ok(Capabilities {
        backend: "cuda-host",
        ..cuda::capabilities()
    })
}

/// An executor in one precision.
pub fn make(plan: Arc<Plan>, runs: usize, precision: Precision) -> Result<Box<dyn Executor>> {
    Ok(Box::new(CudaHost::new(plan, runs, precision)?))
}
