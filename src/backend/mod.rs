//! Backends: executors of launches. A backend allocates once, prepares each specialisation once, then only launches.

pub mod cpu;
pub mod cuda;
mod places;
pub mod profile;
#[cfg(feature = "wgpu")]
pub mod wgpu;

use std::sync::Arc;

use profile::Span;

use crate::error::{Error, Result};
use crate::plan::{BufferId, Plan, Segment};

/// Precision of [`crate::plan::Element::Real`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 64-bit floating point.
    F64,
}

impl Precision {
    /// Bytes of one real number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Distance from 1 to the next number.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::EPSILON),
            Self::F64 => f64::EPSILON,
        }
    }
}

/// Contents of a buffer on the host. Real and wide numbers travel as f64, which holds every f32 exactly.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Real or wide numbers.
    Numbers(Vec<f64>),
    /// Words.
    Words(Vec<u32>),
}

/// Runs the launches of one plan for a fixed number of run slots.
pub trait Executor {
    /// The plan it runs.
    fn plan(&self) -> &Plan;

    /// Fills one slot's share of a buffer.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Shape`] if the length or kind differs, or a device error.
    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()>;

    /// One slot's share of a buffer, after all work submitted so far.
    ///
    /// # Errors
    /// A device error.
    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values>;

    /// Runs the launches of these segments, in the plan's order, for every slot where they are due.
    ///
    /// # Errors
    /// A device error, with the kernel's name.
    fn submit(&mut self, segments: &[Segment]) -> Result<()>;

    /// Runs steps one behind the other, each with the segments that may be due in it.
    ///
    /// # Errors
    /// As [`Self::submit`].
    fn submit_steps(&mut self, steps: &[Vec<Segment>]) -> Result<()> {
        steps.iter().try_for_each(|segments| self.submit(segments))
    }

    /// Starts or stops the timing of every launch, which may slow them down.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`] if the device has no clock.
    fn set_profiling(&mut self, on: bool) -> Result<()> {
        if on {
            return Err(Error::unsupported(format!(
                "{}: its launches cannot be timed",
                self.device()
            )));
        }
        Ok(())
    }

    /// The launches timed since this was asked last.
    ///
    /// # Errors
    /// A device error.
    fn spans(&mut self) -> Result<Vec<Span>> {
        Ok(Vec::new())
    }

    /// The device, in words.
    fn device(&self) -> String;

    /// Precision of real numbers.
    fn precision(&self) -> Precision;
}

/// Makes the executor of a plan for one run: a backend with its device and precision.
pub type Make<'a> = &'a dyn Fn(Arc<Plan>) -> Result<Box<dyn Executor>>;

/// The CPU's executor for one run.
///
/// # Errors
/// As [`crate::plan::lower`].
pub fn cpu_executor(plan: Arc<Plan>, precision: Precision) -> Result<Box<dyn Executor>> {
    cpu_executor_for(plan, precision, 1)
}

/// The CPU's executor for so many runs.
///
/// # Errors
/// As [`crate::plan::lower`].
pub fn cpu_executor_for(plan: Arc<Plan>, precision: Precision, runs: usize) -> Result<Box<dyn Executor>> {
    Ok(match precision {
        Precision::F32 => Box::new(cpu::CpuExecutor::<f32>::new(plan, runs)?),
        Precision::F64 => Box::new(cpu::CpuExecutor::<f64>::new(plan, runs)?),
    })
}
