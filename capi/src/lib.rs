//! C interface of gmatrix: `include/gmatrix.h`, which is generated from this crate.
//!
//! Nothing unwinds into C: a panic is caught and becomes [`Status::Panic`]. Objects are boxes that C frees by their own
//! functions. `docs/c.md` holds a complete program.

mod call;
mod sites;
mod statistics;

pub use call::{Status, gm_last_error};
pub use sites::{
    GmSites, gm_sites_embedding, gm_sites_free, gm_sites_linear, gm_sites_linear_f32, gm_sites_materialised,
    gm_sites_new, gm_sites_read,
};
pub use statistics::{
    GmStatistics, Precision, gm_sites_statistics, gm_statistics_count, gm_statistics_free, gm_statistics_gram,
    gm_statistics_name, gm_statistics_scalar, gm_statistics_value,
};
