//! Builds a plan: allocates buffers in arenas, collects ops in segments, fills in site tables.

use super::buffer::{ALIGN, Arena, Buffer, BufferId, Element, Lifetime, View};
use super::contract::Access;
use super::op::{KernelCall, Op, Segment, SegmentOps};
use super::site::{Site, SiteKind};
use crate::error::{Error, Result};

/// A complete computation: buffers and segments of ops, for any number of runs of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// Elements of one run's share of each arena, in the order of [`Arena::ALL`]; multiples of [`ALIGN`].
    pub strides: Vec<usize>,
    /// Segments in the order in which a step runs them. A segment may appear more than once.
    pub segments: Vec<SegmentOps>,
    /// Contents of constant buffers that follow from the plan alone.
    pub tables: Vec<(BufferId, Vec<u32>)>,
    /// Choices made while planning, as shown in the printed plan and kept in `run.json`.
    pub choices: Vec<(String, String)>,
}

impl Plan {
    /// The buffer of this name.
    pub fn find(&self, name: &str) -> Option<BufferId> {
        self.buffers
            .iter()
            .position(|b| b.name == name)
            .map(|place| BufferId(place as u32))
    }

    /// A buffer.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.index()]
    }

    /// Elements of one run's share of an arena.
    pub fn stride(&self, arena: Arena) -> usize {
        self.strides[arena.index()]
    }

    /// The buffers a checkpoint holds.
    pub fn persistent(&self) -> impl Iterator<Item = (BufferId, &Buffer)> {
        self.buffers
            .iter()
            .enumerate()
            .filter(|(_, b)| b.arena.lifetime() == Lifetime::Persistent)
            .map(|(place, b)| (BufferId(place as u32), b))
    }

    /// Device memory of `runs` runs in bytes, with `real` bytes to a real number.
    pub fn bytes(&self, runs: usize, real: usize) -> usize {
        Arena::ALL
            .iter()
            .map(|arena| {
                let size = match arena.element() {
                    Element::Real => real,
                    Element::Wide => 8,
                    Element::Word => 4,
                };
                self.stride(*arena) * size * runs
            })
            .sum()
    }
}

/// Builds a [`Plan`].
#[derive(Debug, Default)]
pub struct PlanBuilder {
    buffers: Vec<Buffer>,
    used: [usize; Arena::ALL.len()],
    largest: [usize; Arena::ALL.len()],
    segments: Vec<SegmentOps>,
    tables: Vec<(BufferId, Vec<u32>)>,
    sites: Vec<(BufferId, Vec<Site>)>,
    choices: Vec<(String, String)>,
}

impl PlanBuilder {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a scope: buffers of [`Lifetime::Scope`] made before it may be overwritten from here on.
    pub fn scope(&mut self) {
        for arena in Arena::ALL {
            if arena.lifetime() == Lifetime::Scope {
                self.used[arena.index()] = 0;
            }
        }
    }

    /// A new buffer.
    pub fn buffer(&mut self, arena: Arena, name: impl Into<String>, shape: &[usize]) -> View {
        let name = self.unique(name.into());
        let len: usize = shape.iter().product();
        let place = arena.index();
        let offset = self.used[place];
        self.used[place] = (offset + len).next_multiple_of(ALIGN);
        self.largest[place] = self.largest[place].max(self.used[place]);
        let buffer = BufferId(self.buffers.len() as u32);
        self.buffers.push(Buffer {
            name,
            arena,
            shape: shape.to_vec(),
            offset,
        });
        View::Part { buffer, start: 0, len }
    }

    /// Passes over several bands make buffers of the same kind: later ones are numbered.
    fn unique(&self, name: String) -> String {
        let taken = |name: &str| self.buffers.iter().any(|b| b.name == name);
        if !taken(&name) {
            return name;
        }
        (2..)
            .map(|k| format!("{name}#{k}"))
            .find(|candidate| !taken(candidate))
            .unwrap_or(name)
    }

    /// A constant buffer with contents that follow from the plan.
    pub fn table(&mut self, name: impl Into<String>, words: Vec<u32>) -> View {
        let view = self.buffer(Arena::Data, name, &[words.len()]);
        let View::Part { buffer, .. } = view else {
            unreachable!("buffer() makes parts")
        };
        self.tables.push((buffer, words));
        view
    }

    /// The site table of kernels that walk over all sites; filled in when the plan is finished.
    pub fn site_table(&mut self, name: impl Into<String>, sites: &[Site]) -> View {
        let view = self.buffer(Arena::Data, name, &[sites.len(), Site::WORDS]);
        let View::Part { buffer, .. } = view else {
            unreachable!("buffer() makes parts")
        };
        self.sites.push((buffer, sites.to_vec()));
        view
    }

    /// Starts (or goes on with) a segment.
    pub fn segment(&mut self, segment: Segment) {
        if self.segments.last().is_none_or(|last| last.segment != segment) {
            self.segments.push(SegmentOps {
                segment,
                ops: Vec::new(),
            });
        }
    }

    /// Adds an op to the current segment.
    ///
    /// # Panics
    /// If no segment was started.
    #[track_caller]
    pub fn op(&mut self, label: impl Into<String>, calls: Vec<KernelCall>) {
        self.segments.last_mut().expect("a segment was started").ops.push(Op {
            label: label.into(),
            calls,
        });
    }

    /// Records a choice made while planning.
    pub fn choose(&mut self, what: impl Into<String>, choice: impl Into<String>) {
        self.choices.push((what.into(), choice.into()));
    }

    /// Checks every call against its contract and resolves the site tables.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Shape`] if a table offset exceeds u32.
    ///
    /// # Panics
    /// If a call breaks its kernel's contract or two bindings overlap where one is written: plans come from code.
    pub fn finish(mut self) -> Result<Plan> {
        for (table, sites) in std::mem::take(&mut self.sites) {
            let mut words = Vec::with_capacity(sites.len() * Site::WORDS);
            for site in &sites {
                words.extend(self.site_words(site)?);
            }
            self.tables.push((table, words));
        }
        for op in self.segments.iter().flat_map(|s| &s.ops) {
            for call in &op.calls {
                self.check(&op.label, call);
            }
        }
        Ok(Plan {
            buffers: self.buffers,
            strides: self.largest.to_vec(),
            segments: self.segments,
            tables: self.tables,
            choices: self.choices,
        })
    }

    /// Arena, first element within one run's share, and length of a view.
    fn resolve(&self, view: View) -> (Arena, usize, usize) {
        match view {
            View::Part { buffer, start, len } => {
                let buffer = &self.buffers[buffer.index()];
                (buffer.arena, buffer.offset + start, len)
            }
            View::Whole(arena) => (arena, 0, self.largest[arena.index()]),
        }
    }

    fn site_words(&self, site: &Site) -> Result<[u32; Site::WORDS]> {
        let a = site
            .a
            .as_ref()
            .map_or((0, 0, 0), |a| (self.resolve(a.view).1, a.stride_n, a.stride_t));
        let b = (self.resolve(site.b.view).1, site.b.stride_n, site.b.stride_t);
        let id_step = site.ids.map_or(0, |(_, step)| step);
        let mut words = [0; Site::WORDS];
        let values = [
            site.kind.code() as usize,
            site.positions,
            site.d_in,
            site.d_out,
            a.0,
            a.1,
            a.2,
            b.0,
            b.1,
            b.2,
            id_step,
            usize::from(site.kind == SiteKind::Embedding),
        ];
        for (word, value) in words.iter_mut().zip(values) {
            *word = u32::try_from(value)
                .map_err(|_| Error::shape(format!("site {}: offset {value} exceeds 32 bits", site.name)))?;
        }
        Ok(words)
    }

    fn check(&self, label: &str, call: &KernelCall) {
        let contract = call.kernel.contract();
        let bindings: Vec<_> = contract.active_bindings(&call.spec).collect();
        for (place, (binding, view)) in bindings.iter().zip(&call.bindings).enumerate() {
            let (arena, start, len) = self.resolve(*view);
            let fits = arena.element() == binding.element;
            assert!(
                fits,
                "{label}: {}.{} is {:?}, not {arena:?}",
                contract.name, binding.name, binding.element
            );
            if let View::Part { buffer, .. } = view {
                let buffer = &self.buffers[buffer.index()];
                assert!(
                    start + len <= buffer.offset + buffer.len(),
                    "{label}: {}.{} leaves buffer {}",
                    contract.name,
                    binding.name,
                    buffer.name
                );
            }
            if binding.access == Access::Read {
                continue;
            }
            for (other_place, other) in call.bindings.iter().enumerate() {
                let (other_arena, other_start, other_len) = self.resolve(*other);
                let overlap = arena == other_arena && start < other_start + other_len && other_start < start + len;
                assert!(
                    place == other_place || !overlap,
                    "{label}: {}.{} is written and overlaps binding {other_place}",
                    contract.name,
                    binding.name
                );
            }
        }
    }
}
