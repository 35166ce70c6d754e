//! What a network that learns a cyclic operation has grown: its frequencies, the neurons that carry them, and the losses
//! of the parts of its logits.
//!
//! Everything here is a function of weights alone, had from a forward pass over the complete table of the operation, so
//! it is computed from weights kept on disk, after the fact. That is what a measure with the *final* key frequencies
//! needs: they are not known before the end, and so such measures describe a run and predict nothing.
//!
//! Frequencies are those of the group in which the operation adds ([`crate::task::Cyclic`]): k = 1, …, floor(n/2) for a
//! group of order n, in its elements, not in the residues that name them.
//!
//! | what | where | source |
//! |---|---|---|
//! | restricted and excluded loss, cosine coefficients, spectrum of the logits | [`logits`] | Nanda et al. 2301.05217 |
//! | frequency and purity of neurons, key frequencies | [`neurons`] | the same |
//! | Fourier components of the embedding and of the neurons' map to logits; Gini, IPR | [`weights`] | the same; Doshi et al. 2310.13061 |
//! | gradient symmetricity, distance irrelevance | [`algorithm`] | Zhong et al. 2306.17844 |
//! | selection and transmission among neurons | [`population`] | Price 1970 |
//!
//! Formulas: `docs/structure.md`.

pub mod algorithm;
pub mod columns;
pub mod logits;
pub mod neurons;
pub mod population;
#[cfg(feature = "record")]
mod run;
pub mod table;
pub mod waves;
pub mod weights;

#[cfg(feature = "record")]
pub use run::{FILE, read_structure, write_structure};
pub use table::{Responses, Table};
