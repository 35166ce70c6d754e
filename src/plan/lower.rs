//! Lowering: a plan becomes the launches of a backend, in pure Rust, so that they print on any machine.

use super::buffer::{Arena, Element, View};
use super::builder::Plan;
use super::contract::Access;
use super::kernel::Kernel;
use super::op::Segment;
use crate::error::{Error, Result};

/// Most argument buffers of a kernel: WebGPU's default of eight storage buffers, less the control block.
pub const MAX_BINDINGS: usize = 7;

/// What a backend and its device can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Backend name, as `cpu`.
    pub backend: &'static str,
    /// Whether kernels run in f64 as well.
    pub f64: bool,
    /// Largest binding in bytes.
    pub max_binding: usize,
    /// Kernels it has.
    pub kernels: Vec<Kernel>,
}

/// A binding as an executor needs it: a range of an arena, the same in every run's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Name in the kernel's source.
    pub name: &'static str,
    /// Where it lies.
    pub arena: Arena,
    /// First element within one run's share.
    pub start: usize,
    /// Elements.
    pub len: usize,
    /// What is done with it.
    pub access: Access,
}

/// One kernel launch over all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Segment it belongs to; a run takes part only where the segment is due.
    pub segment: Segment,
    /// The op it computes, or a part of it.
    pub label: String,
    /// Which kernel.
    pub kernel: Kernel,
    /// Values of its constants.
    pub spec: Vec<u32>,
    /// Its argument buffers.
    pub bindings: Vec<Resolved>,
    /// Its parameters.
    pub params: Vec<u32>,
}

impl Launch {
    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        (self.kernel.contract().flops)(&self.params)
    }

    /// Bytes of one run's arguments, each read or written once, with `real` bytes to a real number.
    pub fn bytes(&self, real: usize) -> u64 {
        self.bindings
            .iter()
            .map(|b| {
                let size = match b.arena.element() {
                    Element::Real => real,
                    Element::Wide => 8,
                    Element::Word => 4,
                };
                let times = if b.access == Access::ReadWrite { 2 } else { 1 };
                (b.len * size * times) as u64
            })
            .sum()
    }
}

/// The launches of one step with every segment due, in order.
///
/// # Errors
/// [`crate::error::ErrorKind::Unsupported`] where the backend lacks a kernel or a binding exceeds its limit.
pub fn lower(plan: &Plan, capabilities: &Capabilities) -> Result<Vec<Launch>> {
    let mut launches = Vec::new();
    for segment in &plan.segments {
        for op in &segment.ops {
            for call in &op.calls {
                if !capabilities.kernels.contains(&call.kernel) {
                    return Err(Error::unsupported(format!(
                        "backend {} has no kernel {}, which {} needs",
                        capabilities.backend,
                        call.kernel.name(),
                        op.label
                    )));
                }
                let contract = call.kernel.contract();
                let bindings: Vec<Resolved> = contract
                    .active_bindings(&call.spec)
                    .zip(&call.bindings)
                    .map(|(binding, view)| {
                        let (arena, start, len) = match *view {
                            View::Part { buffer, start, len } => {
                                let buffer = plan.buffer(buffer);
                                (buffer.arena, buffer.offset + start, len)
                            }
                            View::Whole(arena) => (arena, 0, plan.stride(arena)),
                        };
                        Resolved {
                            name: binding.name,
                            arena,
                            start,
                            len,
                            access: binding.access,
                        }
                    })
                    .collect();
                let bytes = |binding: &Resolved| {
                    let size = match binding.arena.element() {
                        Element::Word => 4,
                        Element::Real if !capabilities.f64 => 4,
                        Element::Real | Element::Wide => 8,
                    };
                    binding.len * size
                };
                if let Some(large) = bindings
                    .iter()
                    .find(|binding| bytes(binding) > capabilities.max_binding)
                {
                    return Err(Error::unsupported(format!(
                        "{}: argument {} of kernel {} needs {} bytes, and a binding of backend {} has at most {}; fewer \
                         samples or a smaller batch fit, or the CPU backend",
                        op.label,
                        large.name,
                        contract.name,
                        bytes(large),
                        capabilities.backend,
                        capabilities.max_binding
                    )));
                }
                launches.push(Launch {
                    segment: segment.segment,
                    label: op.label.clone(),
                    kernel: call.kernel,
                    spec: call.spec.clone(),
                    bindings,
                    params: call.params.clone(),
                });
            }
        }
    }
    Ok(launches)
}
