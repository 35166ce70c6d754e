//! The executors under test: one line each.

use std::sync::Arc;

use gmatrix::Result;
use gmatrix::backend::cpu::{self, CpuExecutor};
use gmatrix::backend::{Executor, Precision};
use gmatrix::plan::{Capabilities, Plan};

/// An executor in one precision.
#[derive(Clone, Copy)]
pub struct Backend {
    pub name: &'static str,
    pub precision: Precision,
    pub capabilities: fn() -> Result<Capabilities>,
    pub make: fn(Arc<Plan>, usize) -> Result<Box<dyn Executor>>,
}

/// Every executor that conformance runs on. A backend that is absent from this machine says so in `capabilities`.
pub const BACKENDS: &[Backend] = &[
    Backend {
        name: "cpu",
        precision: Precision::F32,
        capabilities: cpu_capabilities,
        make: cpu::<f32>,
    },
    Backend {
        name: "cpu",
        precision: Precision::F64,
        capabilities: cpu_capabilities,
        make: cpu::<f64>,
    },
];

fn cpu_capabilities() -> Result<Capabilities> {
    Ok(cpu::capabilities())
}

fn cpu<S: cpu::Scalar>(plan: Arc<Plan>, runs: usize) -> Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::<S>::new(plan, runs)?))
}
