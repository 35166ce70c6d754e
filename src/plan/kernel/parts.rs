//! What contracts are written with.

use super::GRAM_TILE;
use crate::plan::buffer::Element;
use crate::plan::contract::{Access, Binding, Constant};

pub(super) const fn read(name: &'static str, element: Element) -> Binding {
    Binding {
        name,
        element,
        access: Access::Read,
        when: None,
    }
}

pub(super) const fn write(name: &'static str, element: Element) -> Binding {
    Binding {
        name,
        element,
        access: Access::Write,
        when: None,
    }
}

pub(super) const fn update(name: &'static str, element: Element) -> Binding {
    Binding {
        name,
        element,
        access: Access::ReadWrite,
        when: None,
    }
}

pub(super) const fn when(binding: Binding, constant: &'static str) -> Binding {
    Binding {
        when: Some(constant),
        ..binding
    }
}

pub(super) const fn flag(name: &'static str) -> Constant {
    Constant { name, values: &[0, 1] }
}

pub(super) const fn choice(name: &'static str, values: &'static [u32]) -> Constant {
    Constant { name, values }
}

pub(super) fn product(params: &[u32], places: &[usize]) -> u64 {
    places.iter().map(|place| u64::from(params[*place])).product()
}

pub(super) fn no_flops(_: &[u32]) -> u64 {
    0
}

pub(super) fn one(_: &[u32]) -> u64 {
    1
}

pub(super) fn tiles(params: &[u32]) -> u64 {
    let side = u64::from(params[0]).div_ceil(GRAM_TILE as u64);
    side * (side + 1) / 2
}
