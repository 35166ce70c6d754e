//! Arguments of launches as ranges of the buffers that hold the arenas.

use std::num::NonZeroU64;

use super::executor::bytes;
use super::record::UNIFORM;
use crate::plan::{Arena, Plan, Resolved};

/// What WebGPU demands of the first byte of a storage binding.
const ALIGNMENT: u64 = 256;

/// An argument of a launch: the same range of an arena in the share of each of its runs.
#[derive(Debug)]
pub(super) struct Argument {
    pub name: &'static str,
    arena: Arena,
    /// Bytes of an element.
    size: u64,
    /// First element within a run's share, a multiple of the alignment.
    base: u64,
    /// Elements from there to the end of the range.
    len: u64,
    /// First element of the range itself.
    first: u64,
    /// Elements of a run's share.
    pub stride: u64,
}

impl Argument {
    pub fn new(plan: &Plan, binding: &Resolved) -> Self {
        let size = bytes(binding.arena.element());
        // What is empty may begin where the arena ends.
        let start = if binding.len == 0 { 0 } else { binding.start as u64 };
        // Whether a run takes part is read from its control block's first word on, wherever the argument begins.
        let base = if binding.arena == Arena::Control {
            0
        } else {
            start * size / ALIGNMENT * ALIGNMENT / size
        };
        Self {
            name: binding.name,
            arena: binding.arena,
            size,
            base,
            len: start - base + binding.len as u64,
            first: start,
            stride: plan.stride(binding.arena) as u64,
        }
    }

    /// All of every run's control block.
    pub fn control(plan: &Plan) -> Self {
        let stride = plan.stride(Arena::Control) as u64;
        Self {
            name: "control",
            arena: Arena::Control,
            size: bytes(Arena::Control.element()),
            base: 0,
            len: stride,
            first: 0,
            stride,
        }
    }

    /// Bytes that it spans over so many neighbouring runs.
    pub fn bytes(&self, runs: usize) -> u64 {
        // What is empty still is a binding.
        (((runs as u64 - 1) * self.stride + self.len) * self.size).max(UNIFORM)
    }

    /// How many runs fit a binding of so many bytes.
    pub fn runs_within(&self, limit: u64) -> usize {
        let share = self.stride * self.size;
        match (limit.checked_sub(self.bytes(1)), share) {
            (None, _) => 0,
            (Some(_), 0) => usize::MAX,
            (Some(rest), share) => 1 + usize::try_from(rest / share).unwrap_or(usize::MAX - 1),
        }
    }

    /// Its place within the binding.
    pub fn start(&self) -> u64 {
        self.first - self.base
    }

    /// The binding for so many runs from `first` on.
    pub fn range<'a>(&self, arenas: &'a [wgpu::Buffer], first: usize, runs: usize) -> wgpu::BufferBinding<'a> {
        let buffer = &arenas[self.arena.index()];
        // Shares of runs are multiples of the alignment.
        let offset = (first as u64 * self.stride + self.base) * self.size;
        wgpu::BufferBinding {
            buffer,
            offset,
            size: NonZeroU64::new(self.bytes(runs).min(buffer.size() - offset)),
        }
    }
}
