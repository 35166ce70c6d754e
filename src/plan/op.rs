//! Ops and the kernel calls they stand for.

use super::buffer::View;
use super::kernel::Kernel;

/// A part of a step. Segments run in this order; each is run only where it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// Control: what is due, the step's rates.
    Begin,
    /// Forward and backward pass over the step's batch, mean gradient, guard against divergence.
    Step,
    /// Statistics of the step's batch.
    Scalars,
    /// Losses and accuracies of both splits.
    Evaluate,
    /// Gram matrix of the fixed subset, spectra, ranks.
    Gram,
    /// Property gradients, ntcov, and the parts of the coming update.
    Decompose,
    /// The optimiser.
    Update,
    /// Property values after the update: measured changes and the ledger.
    Measure,
    /// The metrics row, transitions, end conditions.
    End,
}

impl Segment {
    /// All segments in their order.
    pub const ALL: [Self; 9] = [
        Self::Begin,
        Self::Step,
        Self::Scalars,
        Self::Evaluate,
        Self::Gram,
        Self::Decompose,
        Self::Update,
        Self::Measure,
        Self::End,
    ];

    /// Its place in [`Segment::ALL`] and in the control block's due flags.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Step => "step",
            Self::Scalars => "scalars",
            Self::Evaluate => "evaluate",
            Self::Gram => "gram",
            Self::Decompose => "decompose",
            Self::Update => "update",
            Self::Measure => "measure",
            Self::End => "end",
        }
    }
}

/// One kernel with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelCall {
    /// Which kernel.
    pub kernel: Kernel,
    /// Value of each of its constants, in the contract's order.
    pub spec: Vec<u32>,
    /// The bindings present under `spec`, in order.
    pub bindings: Vec<View>,
    /// Its parameters, in order.
    pub params: Vec<u32>,
}

/// A kernel call; constants not named are the first of their values.
///
/// # Panics
/// If the bindings, parameters or constants are not those of the kernel's contract: calls come from code.
#[track_caller]
pub fn call(kernel: Kernel, constants: &[(&str, u32)], bindings: &[View], params: &[usize]) -> KernelCall {
    let contract = kernel.contract();
    let name = contract.name;
    let mut spec: Vec<u32> = contract.constants.iter().map(|constant| constant.values[0]).collect();
    for (constant, value) in constants {
        let place = contract
            .constants
            .iter()
            .position(|c| c.name == *constant && c.values.contains(value))
            .unwrap_or_else(|| panic!("{name} has no constant {constant} = {value}"));
        spec[place] = *value;
    }
    let active = contract.active_bindings(&spec).count();
    assert_eq!(active, bindings.len(), "{name}{spec:?}: number of bindings");
    assert_eq!(contract.params.len(), params.len(), "{name}: number of parameters");
    KernelCall {
        kernel,
        spec,
        bindings: bindings.to_vec(),
        params: params
            .iter()
            .map(|p| u32::try_from(*p).unwrap_or_else(|_| panic!("{name}: parameter {p} exceeds u32")))
            .collect(),
    }
}

/// One step of the computation as a reader thinks of it, with its reference expansion into small kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// What it computes, as `blocks.0.mlp.in`.
    pub label: String,
    /// The kernels that compute it, in order.
    pub calls: Vec<KernelCall>,
}

/// The ops of one segment, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentOps {
    /// Which segment.
    pub segment: Segment,
    /// Its ops.
    pub ops: Vec<Op>,
}
