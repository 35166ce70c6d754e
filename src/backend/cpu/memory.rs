//! Memory of the CPU executor, and how threads that work on different slots share it.

use std::marker::PhantomData;

use super::args::{Args, Slot};
use super::kernels;
use super::scalar::Scalar;
use crate::plan::{Arena, Element, Launch, Plan, Segment, control};

/// Memory of one arena for all slots, in units that suit its elements.
#[derive(Debug)]
pub(super) enum Memory<S> {
    Real(Vec<S>),
    Wide(Vec<f64>),
    Word(Vec<u32>),
}

impl<S: Scalar> Memory<S> {
    pub fn new(element: Element, len: usize) -> Self {
        match element {
            Element::Real => Self::Real(vec![S::ZERO; len]),
            Element::Wide => Self::Wide(vec![0.0; len]),
            Element::Word => Self::Word(vec![0; len]),
        }
    }

    fn base(&mut self) -> Base {
        match self {
            Self::Real(v) => Base(v.as_mut_ptr().cast(), size_of::<S>()),
            Self::Wide(v) => Base(v.as_mut_ptr().cast(), size_of::<f64>()),
            Self::Word(v) => Base(v.as_mut_ptr().cast(), size_of::<u32>()),
        }
    }
}

/// Start of an arena and the bytes of one element.
#[derive(Clone, Copy)]
struct Base(*mut u8, usize);

// SAFETY: a Base is only an address; [`Shared`] gives what is reached through it to one thread at a time.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

/// What a launch for one slot needs.
pub(super) struct Shared<'a, S> {
    plan: &'a Plan,
    /// The launches of one whole step.
    pub launches: &'a [Launch],
    /// Starts of the arenas, which nobody else reaches while this lives.
    bases: Vec<Base>,
    number: PhantomData<fn() -> S>,
}

impl<'a, S: Scalar> Shared<'a, S> {
    /// That of an executor.
    pub fn new(plan: &'a Plan, launches: &'a [Launch], arenas: &'a mut [Memory<S>]) -> Self {
        Self {
            plan,
            launches,
            bases: arenas.iter_mut().map(Memory::base).collect(),
            number: PhantomData,
        }
    }

    /// Whether a slot takes part in the launches of a segment.
    ///
    /// # Safety
    /// No other thread may work on this slot meanwhile.
    pub unsafe fn is_due(&self, slot: usize, segment: Segment) -> bool {
        // SAFETY: nothing writes the block while it is looked at, as the caller says.
        let block = unsafe { self.control(slot) };
        match segment {
            Segment::Begin => block.get(control::ACTIVE).is_none_or(|active| *active != 0),
            _ => block.get(control::due(segment)).is_none_or(|due| *due != 0),
        }
    }

    /// A slot's control block.
    ///
    /// # Safety
    /// Nothing may write the block while it is borrowed.
    unsafe fn control(&self, slot: usize) -> &[u32] {
        let stride = self.plan.stride(Arena::Control);
        let Base(pointer, size) = self.bases[Arena::Control.index()];
        // SAFETY: the arena of control blocks holds `stride` initialised words for each slot.
        unsafe { std::slice::from_raw_parts(pointer.add(slot * stride * size).cast(), stride) }
    }

    /// Runs a launch for a slot.
    ///
    /// # Safety
    /// No other thread may work on this slot meanwhile.
    pub unsafe fn run(&self, place: usize, slot: usize) {
        let launch = &self.launches[place];
        let arguments = launch
            .bindings
            .iter()
            .map(|binding| {
                let Base(pointer, size) = self.bases[binding.arena.index()];
                let first = slot * self.plan.stride(binding.arena) + binding.start;
                // SAFETY: `Plan` keeps every binding within its slot's share of the arena, which holds
                // `stride * runs` initialised elements of its type and outlives `self`. Slots are distinct, so shares
                // of different threads are disjoint; `PlanBuilder::finish` has checked that within one call nothing
                // that is written overlaps another binding.
                unsafe {
                    Slot::new(
                        binding.name,
                        binding.arena.element(),
                        binding.access,
                        pointer.add(first * size),
                        binding.len,
                    )
                }
            })
            .collect();
        let binds_control = launch.bindings.iter().any(|b| b.arena == Arena::Control);
        let block: &[u32] = if binds_control {
            &[]
        } else {
            // SAFETY: this launch writes no control block, and no other thread works on this slot.
            unsafe { self.control(slot) }
        };
        // SAFETY: real arenas of this executor hold numbers of type S.
        let args = unsafe {
            Args::<S>::new(
                arguments,
                &launch.params,
                &launch.spec,
                launch.kernel.contract().constants,
                block,
            )
        };
        kernels::run(launch.kernel, &args);
    }
}
