//! The contract of a kernel: what every backend's version of it must take and give.

use super::buffer::Element;

/// What a kernel does with a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes every element of what its parameters span, without reading.
    Write,
    /// Reads and writes it.
    ReadWrite,
}

impl Access {
    /// Whether it may change the binding.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// One argument buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Name in every backend's source.
    pub name: &'static str,
    /// Element type.
    pub element: Element,
    /// What is done with it.
    pub access: Access,
    /// Present only where this constant is not 0.
    pub when: Option<&'static str>,
}

/// A specialisation constant and the values it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constant {
    /// Name in every backend's source.
    pub name: &'static str,
    /// All values.
    pub values: &'static [u32],
}

/// What every backend's version of a kernel must take and give.
#[derive(Debug, Clone, Copy)]
pub struct Contract {
    /// File name of every version, without its ending.
    pub name: &'static str,
    /// Argument buffers in order; those whose `when` is off are left out, the rest move up.
    pub bindings: &'static [Binding],
    /// Names of the u32 parameters, in order.
    pub params: &'static [&'static str],
    /// Specialisation constants; the kernel's specialisations are all combinations of their values.
    pub constants: &'static [Constant],
    /// Work items of one run: tiles, rows or elements, as the kernel's header says. A backend derives its grid from it.
    pub items: fn(&[u32]) -> u64,
    /// Floating-point operations of one run, a multiply-add counted as two.
    pub flops: fn(&[u32]) -> u64,
}

impl Contract {
    /// The bindings present under this specialisation (one value per constant).
    pub fn active_bindings(&self, spec: &[u32]) -> impl Iterator<Item = &'static Binding> {
        let on = |name: &str| {
            self.constants
                .iter()
                .zip(spec)
                .any(|(constant, value)| constant.name == name && *value != 0)
        };
        let active: Vec<_> = self
            .bindings
            .iter()
            .filter(|binding| binding.when.is_none_or(on))
            .collect();
        active.into_iter()
    }

    /// Every specialisation, one value per constant.
    pub fn specialisations(&self) -> Vec<Vec<u32>> {
        self.constants.iter().fold(vec![Vec::new()], |specs, constant| {
            specs
                .iter()
                .flat_map(|spec| {
                    constant.values.iter().map(move |value| {
                        let mut next = spec.clone();
                        next.push(*value);
                        next
                    })
                })
                .collect()
        })
    }
}
