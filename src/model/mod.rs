//! Networks: their shapes, their parameters in one flat arena, and the ops of their forward and backward passes.

mod from_config;
mod gradient;
mod init;
mod layout;
mod mlp;
mod network;
mod parts;
mod shape;
mod transformer;
pub mod weights;

pub(crate) use gradient::gradient;
pub use init::initial_weights;
pub use layout::{External, Layout, Tensor, TensorGroup};
pub use network::{Forward, Network};
pub use parts::Batch;
pub use shape::{Activation, MlpShape, ModelShape, Norm, TransformerShape};
