//! Backends: executors of launches. A backend allocates once, prepares each specialisation once, then only launches.
//!
//! # Work ahead of what is read
//!
//! A device that waits while the host reads a chunk's rows, writes them down and encodes the next chunk is idle for
//! nothing. So copies are asked for apart from being read: [`Executor::request`] has a device copy buffers behind the work
//! submitted so far and returns at once; the host then submits the next chunk, and only then waits for the copy.
//!
//! ```text
//! device  | chunk 1 | copy | chunk 2 | copy | chunk 3 | copy |
//! host    submit 1, request, submit 2, request, read 1, submit 3, request, read 2, …
//! ```
//!
//! Work is done in the order in which it was submitted, so a copy holds what chunk 1 left, whatever chunk 2 writes
//! meanwhile, and the ring needs no second half. Whether a run has ended is known a chunk late; an ended run is masked on
//! the device, so that a chunk too much changes nothing. Weights and states are read by [`Executor::download`], behind all
//! that was submitted: whoever wants those of a certain step submits nothing beyond it ([`crate::record`] goes ahead only
//! where no checkpoint is due).

pub mod cpu;
pub mod cuda;
mod places;
pub mod profile;
#[cfg(feature = "wgpu")]
pub mod wgpu;

use std::sync::Arc;

use profile::Span;

use crate::error::{Error, Result};
use crate::plan::{BufferId, Capabilities, Plan, Segment};

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

/// Copies of buffers on their way to the host. Called, it waits for them, and for no work that was submitted later.
pub type Pending = Box<dyn FnOnce() -> Result<Vec<Values>>>;

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

    /// Asks for slots' shares of buffers as the work submitted so far leaves them; later work does not change what comes.
    ///
    /// # Errors
    /// A device error, here or where the copies are waited for.
    fn request(&mut self, shares: &[(usize, BufferId)]) -> Result<Pending> {
        let shares = shares.iter().map(|(slot, buffer)| self.download(*slot, *buffer));
        let values = shares.collect::<Result<Vec<Values>>>()?;
        Ok(Box::new(move || Ok(values)))
    }

    /// Whether work goes on after it was submitted, so that it pays to submit a chunk before the last one's rows are read.
    fn is_asynchronous(&self) -> bool {
        false
    }

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

/// Makes the executor of a plan for so many runs, and says what its backend has.
pub type MakeFor<'a> = &'a dyn Fn(Arc<Plan>, Precision, usize) -> Result<(Box<dyn Executor>, Capabilities)>;

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
