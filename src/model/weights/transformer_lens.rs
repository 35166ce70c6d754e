//! Weights as `HookedTransformer.load_state_dict` wants them: every bias, and the buffers that it keeps beside them.

use std::path::Path;

use super::WeightType;
use super::write::{named, shape_metadata, to_tensors};
use crate::error::Result;
use crate::model::{ModelShape, TransformerShape};
use crate::tensors::{Dtype, NamedTensor, TensorSet};

/// Writes a transformer's weights in f32 for strict loading in TransformerLens: biases that the network lacks are zero,
/// and `mask` and `IGNORE` of every block hold what they hold there (in its version 3). Read back here, the file is the same network, since
/// its configuration stands in its metadata.
///
/// # Errors
/// If `weights` has not one number for each parameter, or the file cannot be written.
pub fn write_transformer_lens<F>(path: impl AsRef<Path>, shape: &TransformerShape, weights: &[F]) -> Result<()>
where
    F: Copy + Into<f64>,
{
    let whole = ModelShape::Transformer(shape.clone());
    let mut tensors = to_tensors(&whole, weights, WeightType::F32)?;
    let (heads, d) = (shape.heads, shape.d_model);
    for l in 0..shape.layers {
        let at = |name: &str| format!("blocks.{l}.attn.{name}");
        if !shape.attention_biases {
            for name in ["b_Q", "b_K", "b_V"] {
                tensors.push(zeros(&at(name), &[heads, d / heads]));
            }
            tensors.push(zeros(&at("b_O"), &[d]));
        }
        // Made anew for every length of prompt; the state holds an empty one.
        tensors.push(NamedTensor {
            name: at("mask"),
            dtype: Dtype::BOOL,
            shape: vec![0, 0],
            bytes: Vec::new(),
        });
        tensors.push(NamedTensor::new(at("IGNORE"), &[], &[f32::NEG_INFINITY]));
    }
    if !shape.unembed_bias {
        tensors.push(zeros("unembed.b_U", &[shape.d_vocab_out]));
    }
    let metadata = shape_metadata(&whole);
    TensorSet { tensors, metadata }.write(path.as_ref())
}

fn zeros(name: &str, shape: &[usize]) -> NamedTensor {
    let len = shape.iter().product();
    named(name, shape, std::iter::repeat_n(0.0, len), WeightType::F32)
}
