//! A case: one kernel with constants, parameters and contents, and the oracle that says what it must give.

use std::collections::BTreeMap;

use gmatrix::backend::{Precision, Values};
use gmatrix::plan::{Access, Arena, Element, Kernel, KernelCall, PlanBuilder, View, call};

use crate::fill::{Fill, Rng};
use crate::numbers::{Real, Truth};

/// Makes the call on views of the buffers.
type Bind = Box<dyn Fn(&mut PlanBuilder, &[View]) -> KernelCall + Send + Sync>;

/// A buffer of a case.
pub struct Buf {
    pub name: String,
    pub arena: Arena,
    pub len: usize,
    pub access: Access,
    pub fill: Fill,
}

/// Everything an oracle may look at: contents before and after the launch, by name.
pub struct Data<'a> {
    pub case: &'a Case,
    pub before: &'a [Values],
    pub after: &'a [Values],
    pub precision: Precision,
}

impl Data<'_> {
    fn place(&self, name: &str) -> usize {
        let place = self.case.buffers.iter().position(|b| b.name == name);
        place.unwrap_or_else(|| panic!("{} has no buffer {name}", self.case.title()))
    }

    pub fn plain(&self, name: &str) -> &[f64] {
        numbers(&self.before[self.place(name)])
    }

    pub fn real<T: Real>(&self, name: &str) -> Vec<T> {
        self.plain(name).iter().map(|x| T::new(*x)).collect()
    }

    pub fn words(&self, name: &str) -> &[u32] {
        words(&self.before[self.place(name)])
    }

    pub fn words_after(&self, name: &str) -> &[u32] {
        words(&self.after[self.place(name)])
    }

    pub fn plain_after(&self, name: &str) -> &[f64] {
        numbers(&self.after[self.place(name)])
    }

    pub fn params<const N: usize>(&self) -> [usize; N] {
        self.case
            .params
            .clone()
            .try_into()
            .expect("as many parameters as the oracle takes")
    }

    pub fn constant(&self, name: &str) -> u32 {
        self.case
            .constants
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(0, |(_, value)| *value)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.constant(name) != 0
    }
}

pub fn numbers(values: &Values) -> &[f64] {
    match values {
        Values::Numbers(numbers) => numbers,
        Values::Words(_) => panic!("words, not numbers"),
    }
}

pub fn words(values: &Values) -> &[u32] {
    match values {
        Values::Words(words) => words,
        Values::Numbers(_) => panic!("numbers, not words"),
    }
}

/// What a kernel must leave in the buffers it writes.
pub struct Expected<T> {
    pub numbers: BTreeMap<&'static str, Vec<T>>,
    pub words: BTreeMap<&'static str, Vec<u32>>,
    /// Buffers whose contents mean nothing afterwards.
    pub meaningless: Vec<&'static str>,
}

impl<T> Expected<T> {
    pub fn new() -> Self {
        Self {
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
            meaningless: Vec::new(),
        }
    }

    pub fn with(mut self, name: &'static str, values: Vec<T>) -> Self {
        self.numbers.insert(name, values);
        self
    }

    pub fn and_not(mut self, name: &'static str) -> Self {
        self.meaningless.push(name);
        self
    }

    pub fn and_words(mut self, name: &'static str, values: Vec<u32>) -> Self {
        self.words.insert(name, values);
        self
    }
}

/// A plain loop that computes what a kernel's contract says, in numbers of any kind.
pub trait Oracle: Send + Sync + 'static {
    fn run<T: Real>(&self, x: &Data) -> Expected<T>;

    /// What else must hold, in words.
    fn check(&self, _: &Data) -> Result<(), String> {
        Ok(())
    }
}

/// An oracle in the three kinds of numbers that are needed.
pub trait AnyOracle: Send + Sync {
    fn single(&self, x: &Data) -> Expected<f32>;
    fn double(&self, x: &Data) -> Expected<f64>;
    fn truth(&self, x: &Data) -> Expected<Truth>;
    fn check(&self, x: &Data) -> Result<(), String>;
}

impl<O: Oracle> AnyOracle for O {
    fn single(&self, x: &Data) -> Expected<f32> {
        self.run(x)
    }
    fn double(&self, x: &Data) -> Expected<f64> {
        self.run(x)
    }
    fn truth(&self, x: &Data) -> Expected<Truth> {
        self.run(x)
    }
    fn check(&self, x: &Data) -> Result<(), String> {
        Oracle::check(self, x)
    }
}

/// How far a result may lie from the truth: `2 * error of the naive loop + floor * epsilon`, relative to the scale.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// In units of the precision's epsilon.
    pub floor: f64,
    /// Why it is not the usual 4.
    pub reason: &'static str,
}

/// One kernel with constants, parameters and contents.
pub struct Case {
    pub kernel: Kernel,
    pub name: String,
    pub constants: Vec<(&'static str, u32)>,
    pub params: Vec<usize>,
    pub buffers: Vec<Buf>,
    pub oracle: Box<dyn AnyOracle>,
    pub bound: Bound,
    /// Numbers of kind `Wide` that are made of sums in the plan's precision.
    pub wide_as_real: bool,
    /// The call, where its bindings are not just the buffers in order.
    pub bind: Option<Bind>,
}

impl Case {
    /// A case whose buffers are those of the contract, in order, with these lengths and contents.
    pub fn new(
        kernel: Kernel,
        name: impl Into<String>,
        constants: &[(&'static str, u32)],
        params: &[usize],
        buffers: Vec<(usize, Fill)>,
        oracle: impl Oracle,
    ) -> Self {
        let contract = kernel.contract();
        let value = |name: &str, first: u32| constants.iter().find(|(n, _)| *n == name).map_or(first, |(_, v)| *v);
        let spec: Vec<u32> = contract.constants.iter().map(|c| value(c.name, c.values[0])).collect();
        let bindings: Vec<_> = contract.active_bindings(&spec).collect();
        assert_eq!(bindings.len(), buffers.len(), "{}: buffers", contract.name);
        let buffers = bindings.iter().zip(buffers).map(|(binding, (len, fill))| Buf {
            name: binding.name.to_owned(),
            arena: match binding.element {
                Element::Real => Arena::Scratch,
                Element::Wide => Arena::WideScratch,
                // The executor finds control blocks by their arena.
                Element::Word if binding.name == "block" => Arena::Control,
                Element::Word => Arena::Words,
            },
            len,
            access: binding.access,
            fill,
        });
        Self {
            kernel,
            name: name.into(),
            constants: constants.to_vec(),
            params: params.to_vec(),
            buffers: buffers.collect(),
            oracle: Box::new(oracle),
            bound: Bound { floor: 4.0, reason: "" },
            wide_as_real: false,
            bind: None,
        }
    }

    /// A looser bound, and why.
    pub fn looser(mut self, floor: f64, reason: &'static str) -> Self {
        assert!(!reason.is_empty(), "a looser bound needs a reason");
        self.bound = Bound { floor, reason };
        self
    }

    /// A buffer beside those of the contract: what sites point at, or a control block that is not bound.
    pub fn beside(mut self, name: &str, arena: Arena, len: usize, fill: Fill) -> Self {
        self.buffers.push(Buf {
            name: name.to_owned(),
            arena,
            len,
            access: Access::Read,
            fill,
        });
        self
    }

    pub fn title(&self) -> String {
        let constants: Vec<String> = self
            .constants
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{} [{}] {}", self.kernel.name(), constants.join(" "), self.name)
    }

    /// The kernel call on these views.
    pub fn call(&self, builder: &mut PlanBuilder, views: &[View]) -> KernelCall {
        match &self.bind {
            Some(bind) => bind(builder, views),
            None => {
                let bound = self.kernel.contract().active_bindings(&self.spec()).count();
                call(self.kernel, &self.constants, &views[..bound], &self.params)
            }
        }
    }

    pub fn spec(&self) -> Vec<u32> {
        let value = |c: &gmatrix::plan::Constant| {
            self.constants
                .iter()
                .find(|(name, _)| *name == c.name)
                .map_or(c.values[0], |(_, value)| *value)
        };
        self.kernel.contract().constants.iter().map(value).collect()
    }

    /// Contents of all buffers for a slot, rounded as the executor will round them.
    pub fn contents(&self, seed: u64, precision: Precision) -> Vec<Values> {
        let mut contents = Vec::new();
        for (place, buffer) in self.buffers.iter().enumerate() {
            let mut values = (buffer.fill)(&mut Rng::new(seed * 1000 + place as u64));
            if let (Values::Numbers(numbers), Element::Real, Precision::F32) =
                (&mut values, buffer.arena.element(), precision)
            {
                numbers.iter_mut().for_each(|x| *x = f64::from(*x as f32));
            }
            contents.push(values);
        }
        contents
    }
}
