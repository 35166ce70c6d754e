//! What a kernel gets: its argument buffers by name, its parameters and its constants.

use std::cell::Cell;
use std::marker::PhantomData;

use super::scalar::Scalar;
use crate::plan::{Access, Element};

/// One argument buffer of one run.
#[derive(Debug)]
pub struct Slot<'a> {
    name: &'static str,
    element: Element,
    access: Access,
    pointer: *mut u8,
    len: usize,
    taken: Cell<bool>,
    lifetime: PhantomData<&'a mut [u8]>,
}

impl<'a> Slot<'a> {
    /// An argument buffer.
    ///
    /// # Safety
    /// For `'a`, `pointer` must point to `len` initialised elements of `element` (f32 or f64 for real numbers, as the
    /// kernel's scalar type; f64 for wide ones), aligned for them, to which nobody else writes; and which nobody else
    /// reads if `access` writes.
    pub unsafe fn new(name: &'static str, element: Element, access: Access, pointer: *mut u8, len: usize) -> Self {
        Self {
            name,
            element,
            access,
            pointer,
            len,
            taken: Cell::new(false),
            lifetime: PhantomData,
        }
    }
}

/// The arguments of one kernel for one run.
#[derive(Debug)]
pub struct Args<'a, S> {
    slots: Vec<Slot<'a>>,
    params: &'a [u32],
    spec: &'a [u32],
    constants: &'static [crate::plan::Constant],
    control: &'a [u32],
    scalar: PhantomData<S>,
}

impl<'a, S: Scalar> Args<'a, S> {
    /// The arguments of a kernel with these constants.
    ///
    /// # Safety
    /// The real slots must hold numbers of type `S`.
    pub unsafe fn new(
        slots: Vec<Slot<'a>>,
        params: &'a [u32],
        spec: &'a [u32],
        constants: &'static [crate::plan::Constant],
        control: &'a [u32],
    ) -> Self {
        Self {
            slots,
            params,
            spec,
            constants,
            control,
            scalar: PhantomData,
        }
    }

    /// The parameters, in the contract's order.
    #[track_caller]
    pub fn params<const N: usize>(&self) -> [usize; N] {
        let array: [u32; N] = self.params.try_into().expect("as many parameters as the contract has");
        array.map(|p| p as usize)
    }

    /// A constant's value.
    #[track_caller]
    pub fn constant(&self, name: &str) -> u32 {
        let place = self.constants.iter().position(|c| c.name == name);
        self.spec[place.expect("a constant of the contract")]
    }

    /// Whether a flag is set.
    #[track_caller]
    pub fn flag(&self, name: &str) -> bool {
        self.constant(name) != 0
    }

    /// The run's control block; empty for kernel `control` itself, which binds it.
    pub fn control(&self) -> &'a [u32] {
        self.control
    }

    /// A real argument that is only read.
    #[track_caller]
    pub fn real(&self, name: &str) -> &'a [S] {
        self.shared(name, Element::Real)
    }

    /// A wide argument that is only read.
    #[track_caller]
    pub fn wide(&self, name: &str) -> &'a [f64] {
        self.shared(name, Element::Wide)
    }

    /// A word argument that is only read.
    #[track_caller]
    pub fn word(&self, name: &str) -> &'a [u32] {
        self.shared(name, Element::Word)
    }

    /// A real argument that is written.
    #[track_caller]
    pub fn real_mut(&self, name: &str) -> &'a mut [S] {
        self.exclusive(name, Element::Real)
    }

    /// A wide argument that is written.
    #[track_caller]
    pub fn wide_mut(&self, name: &str) -> &'a mut [f64] {
        self.exclusive(name, Element::Wide)
    }

    /// A word argument that is written.
    #[track_caller]
    pub fn word_mut(&self, name: &str) -> &'a mut [u32] {
        self.exclusive(name, Element::Word)
    }

    #[track_caller]
    fn slot(&self, name: &str, element: Element) -> &Slot<'a> {
        let slot = self.slots.iter().find(|slot| slot.name == name);
        let slot = slot.expect("an active binding of the contract");
        assert_eq!(slot.element, element, "{name}");
        slot
    }

    #[track_caller]
    fn shared<T>(&self, name: &str, element: Element) -> &'a [T] {
        let slot = self.slot(name, element);
        assert_eq!(slot.access, Access::Read, "{name} is written: take it with _mut");
        // SAFETY: `Slot::new` promises `len` elements that nobody writes; T is the element's type by the callers above.
        unsafe { std::slice::from_raw_parts(slot.pointer.cast(), slot.len) }
    }

    #[track_caller]
    fn exclusive<T>(&self, name: &str, element: Element) -> &'a mut [T] {
        let slot = self.slot(name, element);
        assert!(slot.access.writes(), "{name} is only read");
        assert!(!slot.taken.replace(true), "{name} is taken twice");
        // SAFETY: as above, and `taken` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(slot.pointer.cast(), slot.len) }
    }
}
