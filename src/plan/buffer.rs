//! Buffers: named, shaped pieces of an arena. One arena holds, for each run slot, all its buffers one behind the other.

/// What one element of a buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// A number in the precision of the plan: f32 or f64.
    Real,
    /// A number that sums and statistics are kept in: f64, or a pair of f32 where a device has no f64.
    Wide,
    /// u32: tokens, counters, flags, exponents (as two's complement).
    Word,
}

/// How long the contents of an arena must live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Across steps; part of every checkpoint.
    Persistent,
    /// Written by the host when a slot is filled; rebuilt from the configuration on resume.
    Constant,
    /// Within one step, across its segments.
    Step,
    /// Within one scope (a few neighbouring segments); scopes overlay each other.
    Scope,
}

/// The memory a buffer lies in. Kernels that walk over many sites bind whole arenas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arena {
    /// Weights, flat.
    Parameters,
    /// First and second moments, previous gradient.
    Moments,
    /// Mean gradients of the step and of properties.
    Gradients,
    /// What passes save forward: the `a` side of every site.
    Activations,
    /// What passes send backward: the `b` side of every site.
    Cotangents,
    /// Everything else of a pass or a statistic.
    Scratch,
    /// Per-sample values kept from before the update to after it.
    Values,
    /// Real-valued inputs, and coefficients of read-outs.
    Inputs,
    /// Hyper-parameters of the slot.
    Settings,
    /// Running sums and histories.
    Sums,
    /// Rows of metrics on their way to the host.
    Ring,
    /// The columns of the row being made, and the step's learning rate and bias corrections.
    Scalars,
    /// Partial sums, matrices in f64, eigenvalues.
    WideScratch,
    /// The slot's control block.
    Control,
    /// Run id, step and valid bits of every ring row.
    RingHeader,
    /// Tokens, labels, site tables.
    Data,
    /// Tokens and indices of the step's batch, exponents, flags.
    Words,
}

impl Arena {
    /// All arenas.
    pub const ALL: [Self; 17] = [
        Self::Parameters,
        Self::Moments,
        Self::Gradients,
        Self::Activations,
        Self::Cotangents,
        Self::Scratch,
        Self::Values,
        Self::Inputs,
        Self::Settings,
        Self::Sums,
        Self::Ring,
        Self::Scalars,
        Self::WideScratch,
        Self::Control,
        Self::RingHeader,
        Self::Data,
        Self::Words,
    ];

    /// What its elements are.
    pub fn element(self) -> Element {
        match self {
            Self::Parameters
            | Self::Moments
            | Self::Gradients
            | Self::Activations
            | Self::Cotangents
            | Self::Scratch
            | Self::Values
            | Self::Inputs => Element::Real,
            Self::Settings | Self::Sums | Self::Ring | Self::Scalars | Self::WideScratch => Element::Wide,
            Self::Control | Self::RingHeader | Self::Data | Self::Words => Element::Word,
        }
    }

    /// How long its contents live.
    pub fn lifetime(self) -> Lifetime {
        match self {
            Self::Parameters | Self::Moments | Self::Sums | Self::Ring | Self::Control | Self::RingHeader => {
                Lifetime::Persistent
            }
            Self::Inputs | Self::Settings | Self::Data => Lifetime::Constant,
            Self::Gradients | Self::Values | Self::Scalars => Lifetime::Step,
            Self::Activations | Self::Cotangents | Self::Scratch | Self::WideScratch | Self::Words => Lifetime::Scope,
        }
    }

    /// Its place in [`Arena::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Buffers start, and run slots repeat, at multiples of so many elements: 256 bytes for 4-byte elements.
pub const ALIGN: usize = 64;

/// Names a buffer of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub(super) u32);

impl BufferId {
    /// Its place in [`super::Plan::buffers`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A named, shaped piece of an arena, once for every run slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Unique within the plan.
    pub name: String,
    /// Where it lies.
    pub arena: Arena,
    /// Shape of one run's share, row-major.
    pub shape: Vec<usize>,
    /// First element within one run's share of the arena.
    pub offset: usize,
}

impl Buffer {
    /// Elements of one run's share.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A contiguous part of an arena, as a kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `len` elements of a buffer from element `start`.
    Part {
        /// The buffer.
        buffer: BufferId,
        /// First element within it.
        start: usize,
        /// Elements.
        len: usize,
    },
    /// One run's whole share of an arena.
    Whole(Arena),
}

impl View {
    /// The part of this view that starts `start` elements in and has `len` elements.
    ///
    /// # Panics
    /// If it does not lie within this view, or this view is a whole arena.
    #[track_caller]
    pub fn part(self, start: usize, len: usize) -> Self {
        match self {
            Self::Part {
                buffer,
                start: first,
                len: all,
            } => {
                assert!(start + len <= all, "part {start}+{len} of a view of {all} elements");
                Self::Part {
                    buffer,
                    start: first + start,
                    len,
                }
            }
            Self::Whole(arena) => panic!("part of the whole arena {arena:?}"),
        }
    }

    /// The first element of a part within its buffer.
    ///
    /// # Panics
    /// If this view is a whole arena.
    #[track_caller]
    pub fn start(self) -> usize {
        match self {
            Self::Part { start, .. } => start,
            Self::Whole(arena) => panic!("start of the whole arena {arena:?}"),
        }
    }

    /// Whether a part has no elements.
    ///
    /// # Panics
    /// If this view is a whole arena.
    #[track_caller]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Elements of a part.
    ///
    /// # Panics
    /// If this view is a whole arena.
    #[track_caller]
    pub fn len(self) -> usize {
        match self {
            Self::Part { len, .. } => len,
            Self::Whole(arena) => panic!("length of the whole arena {arena:?}"),
        }
    }
}
