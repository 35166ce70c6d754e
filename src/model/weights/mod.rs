//! Weights in files: weights-only safetensors with the names and shapes of TransformerLens.
//!
//! The metadata key `config` holds the [`ModelShape`](super::ModelShape) as JSON. Files of other programs lack it; then
//! the shape is inferred from the tensors.

mod infer;
mod read;
mod transformer_lens;
mod write;

pub use infer::Overrides;
pub use read::read_weights;
pub use transformer_lens::write_transformer_lens;
pub use write::{WeightType, shape_metadata, to_tensors, write_weights};

/// Metadata key of the shape.
const CONFIG_KEY: &str = "config";
