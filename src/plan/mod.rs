//! Plans: a flat, printable list of ops over named buffers, built once by backend-free code and lowered to the
//! launches of a backend.
//!
//! ```text
//! PlanBuilder ──► Plan { buffers, segments of ops } ── lower(&Plan, &Capabilities) ──► Vec<Launch> ──► executor
//! ```
//!
//! Every buffer has a leading run axis: one plan trains R independent runs of the same shape. Nothing that decides
//! about bits (geometry, panels, splits) depends on R, on the slot, or on a neighbour.

mod buffer;
mod builder;
mod contract;
pub mod control;
mod kernel;
pub mod layout;
mod lower;
mod op;
mod print;
mod site;

pub use buffer::{ALIGN, Arena, Buffer, BufferId, Element, Lifetime, View};
pub use builder::{Plan, PlanBuilder};
pub use contract::{Access, Binding, Constant, Contract};
pub use kernel::{BLOCK, GRAM_TILE, Kernel, SKETCH_SIDE};
pub use lower::{Capabilities, Launch, MAX_BINDINGS, Resolved, lower};
pub use op::{KernelCall, Op, Segment, SegmentOps, call};
pub use site::{Site, SiteKind, Strided};
