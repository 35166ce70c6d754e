//! The executors under test: one line each.

use std::sync::Arc;
#[cfg(feature = "wgpu")]
use std::sync::Once;
#[cfg(any(feature = "wgpu", feature = "cudarc"))]
use std::sync::OnceLock;

#[cfg(feature = "cudarc")]
use gmatrix::Error;
use gmatrix::Result;
use gmatrix::backend::cpu::{self, CpuExecutor};
use gmatrix::backend::cuda;
#[cfg(feature = "cudarc")]
use gmatrix::backend::cuda::CudaExecutor;
#[cfg(feature = "wgpu")]
use gmatrix::backend::wgpu::{self, WgpuExecutor};
use gmatrix::backend::{Executor, Precision};
#[cfg(any(feature = "wgpu", feature = "cudarc"))]
use gmatrix::plan::PlanBuilder;
use gmatrix::plan::{Capabilities, Kernel, Plan};

use crate::cuda_host;

/// An executor in one precision.
#[derive(Clone, Copy)]
pub struct Backend {
    pub name: &'static str,
    pub precision: Precision,
    pub capabilities: fn() -> Result<Capabilities>,
    pub make: fn(Arc<Plan>, usize) -> Result<Box<dyn Executor>>,
    /// Distance from 1 to the next wide number, or what a kernel that has reason to use fewer digits keeps of them.
    pub wide_epsilon: fn(Kernel) -> f64,
    /// Why a kernel is missing, where that is known: then it may be, even if the backend is required.
    pub absent: fn(Kernel) -> Option<&'static str>,
}

/// The CPU, and CUDA's kernels on it, in both precisions. Without a C++ compiler, the latter's `capabilities` says so.
pub const BACKENDS: &[Backend] = &[
    Backend {
        name: "cpu",
        precision: Precision::F32,
        capabilities: cpu_capabilities,
        make: cpu::<f32>,
        wide_epsilon: double,
        absent: |_| None,
    },
    Backend {
        name: "cpu",
        precision: Precision::F64,
        capabilities: cpu_capabilities,
        make: cpu::<f64>,
        wide_epsilon: double,
        absent: |_| None,
    },
    Backend {
        name: "cuda-host",
        precision: Precision::F32,
        capabilities: cuda_host::capabilities,
        make: |plan, runs| cuda_host::make(plan, runs, Precision::F32),
        wide_epsilon: double,
        absent: |kernel| reason(cuda::ABSENT, kernel),
    },
    Backend {
        name: "cuda-host",
        precision: Precision::F64,
        capabilities: cuda_host::capabilities,
        make: |plan, runs| cuda_host::make(plan, runs, Precision::F64),
        wide_epsilon: double,
        absent: |kernel| reason(cuda::ABSENT, kernel),
    },
];

/// Every executor there is.
pub fn all() -> Vec<Backend> {
    let all = BACKENDS.to_vec();
    #[cfg(feature = "cudarc")]
    let all = [all, CUDA.to_vec()].concat();
    #[cfg(feature = "wgpu")]
    let all = [all, vec![WGPU]].concat();
    all
}

/// Why a kernel is missing, by a backend's list of those that are.
pub fn reason(absent: &'static [(Kernel, &'static str)], kernel: Kernel) -> Option<&'static str> {
    absent.iter().find(|(other, _)| *other == kernel).map(|(_, why)| *why)
}

fn cpu_capabilities() -> Result<Capabilities> {
    Ok(cpu::capabilities())
}

fn cpu<S: cpu::Scalar>(plan: Arc<Plan>, runs: usize) -> Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::<S>::new(plan, runs)?))
}

fn double(_: Kernel) -> f64 {
    Precision::F64.epsilon()
}

/// CUDA's kernels on a real device. Where there is none, `capabilities` says why.
#[cfg(feature = "cudarc")]
pub const CUDA: [Backend; 2] = [
    Backend {
        name: "cuda",
        precision: Precision::F32,
        capabilities: device_capabilities,
        make: |plan, runs| on_cuda(plan, runs, Precision::F32),
        wide_epsilon: double,
        absent: |kernel| reason(cuda::ABSENT, kernel),
    },
    Backend {
        name: "cuda",
        precision: Precision::F64,
        capabilities: device_capabilities,
        make: |plan, runs| on_cuda(plan, runs, Precision::F64),
        wide_epsilon: double,
        absent: |kernel| reason(cuda::ABSENT, kernel),
    },
];

#[cfg(feature = "cudarc")]
fn device_capabilities() -> Result<Capabilities> {
    static PROBED: OnceLock<Result<()>> = OnceLock::new();
    let probed = PROBED.get_or_init(|| cuda::probe().map(|_| ()));
    match probed {
        Ok(()) => Ok(cuda::capabilities()),
        Err(why) => Err(Error::unsupported(why.to_string())),
    }
}

/// An executor; one more keeps the device with its modules alive until the process ends.
#[cfg(feature = "cudarc")]
fn on_cuda(plan: Arc<Plan>, runs: usize, precision: Precision) -> Result<Box<dyn Executor>> {
    static KEPT: OnceLock<Result<CudaExecutor>> = OnceLock::new();
    device_capabilities()?;
    let _ = KEPT.get_or_init(|| CudaExecutor::new(Arc::new(PlanBuilder::new().finish()?), 1, Precision::F32));
    Ok(Box::new(CudaExecutor::new(plan, runs, precision)?))
}

/// The portable GPU executor. Where it is absent, `capabilities` says so.
#[cfg(feature = "wgpu")]
pub const WGPU: Backend = Backend {
    name: "wgpu",
    precision: Precision::F32,
    capabilities: || {
        quieten_device_selection();
        wgpu::probe().map(|_| wgpu::capabilities())
    },
    make: on_wgpu,
    wide_epsilon: pairs,
    absent: |kernel| reason(wgpu::ABSENT, kernel),
};

/// An executor; one more keeps the device with its pipelines alive until the process ends.
#[cfg(feature = "wgpu")]
fn on_wgpu(plan: Arc<Plan>, runs: usize) -> Result<Box<dyn Executor>> {
    static KEPT: OnceLock<Result<WgpuExecutor>> = OnceLock::new();
    quieten_device_selection();
    let _ = KEPT.get_or_init(|| WgpuExecutor::new(Arc::new(PlanBuilder::new().finish()?), 1));
    Ok(Box::new(WgpuExecutor::new(plan, runs)?))
}

/// Mesa's device-select layer asks the Wayland display which GPU is its own; where no session runs, libwayland prints
/// that as an error.
#[cfg(feature = "wgpu")]
fn quieten_device_selection() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            // SAFETY: every test passes here before it asks for an adapter, and what else reads the environment does so
            // through the standard library, which locks it.
            unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
        }
    });
}

/// Pairs of f32 keep 44 bits and more.
#[cfg(feature = "wgpu")]
fn pairs(kernel: Kernel) -> f64 {
    match kernel {
        // |update|^2 is about weights that were rounded to f32.
        Kernel::Optimizer => Precision::F32.epsilon(),
        // Eigenvalues are those of f32; logarithms and what follows from them, too.
        Kernel::Spectrum | Kernel::RankStatistics | Kernel::FormRanks | Kernel::Lanczos | Kernel::BatchStatistics => {
            Precision::F32.epsilon()
        }
        _ => (-44f64).exp2(),
    }
}
