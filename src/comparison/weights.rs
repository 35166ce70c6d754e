//! How far apart weights lie, and the spaces that embedding and unembedding use.

use super::matrix::Matrix;
use crate::config::MlpInput;
use crate::error::Result;
use crate::model::{Layout, ModelShape, TensorGroup};

/// Two vectors of weights of one layout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Separation {
    /// |w - w'|.
    pub distance: f64,
    /// The cosine between them; none where one is zero.
    pub cosine: Option<f64>,
    /// |w'|/|w|; none where w is zero.
    pub norm_ratio: Option<f64>,
}

/// The separation of two vectors of the same length.
pub fn separation(a: &[f64], b: &[f64]) -> Separation {
    let (mut apart, mut product, mut of_a, mut of_b) = (0.0, 0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        apart += (a - b) * (a - b);
        product += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    let (of_a, of_b) = (f64::sqrt(of_a), f64::sqrt(of_b));
    Separation {
        distance: f64::sqrt(apart),
        cosine: (of_a > 0.0 && of_b > 0.0).then(|| product / of_a / of_b),
        norm_ratio: (of_a > 0.0).then(|| of_b / of_a),
    }
}

/// The separations of the groups of tensors that a network has, by their names, and of all weights under `all`.
pub fn separations(layout: &Layout, a: &[f64], b: &[f64]) -> Vec<(&'static str, Separation)> {
    let of = |weights: &[f64], group: TensorGroup| -> Vec<f64> {
        let tensors = layout.tensors.iter().filter(|tensor| tensor.group == group);
        tensors
            .flat_map(|tensor| &weights[tensor.offset..tensor.offset + tensor.len()])
            .copied()
            .collect()
    };
    let mut found = vec![("all", separation(a, b))];
    for group in TensorGroup::ALL {
        let (of_a, of_b) = (of(a, group), of(b, group));
        if !of_a.is_empty() {
            found.push((group.name(), separation(&of_a, &of_b)));
        }
    }
    found
}

/// What tokens are looked up in, `[tokens, width]`: the embedding, or the first layer on one-hot tokens; none on real inputs.
///
/// # Errors
/// None that a layout of this shape could have.
pub fn embedding(shape: &ModelShape, weights: &[f64]) -> Result<Option<Matrix>> {
    let name = match shape {
        ModelShape::Mlp(s) if s.input == MlpInput::OneHot => "layers.0.W",
        ModelShape::Mlp(s) if s.input == MlpInput::Float => return Ok(None),
        _ => "embed.W_E",
    };
    tensor(shape, weights, name).map(Some)
}

/// What makes the logits, by classes, `[V, width]`: the unembedding, or the last layer of an MLP.
///
/// # Errors
/// None that a layout of this shape could have.
pub fn unembedding(shape: &ModelShape, weights: &[f64]) -> Result<Matrix> {
    let name = match shape {
        ModelShape::Transformer(_) => "unembed.W_U".to_owned(),
        ModelShape::Mlp(s) => format!("layers.{}.W", s.hidden.len()),
    };
    Ok(tensor(shape, weights, &name)?.transposed())
}

/// From the neurons of the last block to the logits, by classes, `[V, neurons]`: (W_out W_U)^T. None for an MLP, where it
/// is the last layer.
///
/// # Errors
/// None that a layout of this shape could have.
pub fn neurons_to_logits(shape: &ModelShape, weights: &[f64]) -> Result<Option<Matrix>> {
    let ModelShape::Transformer(s) = shape else {
        return Ok(None);
    };
    let out = tensor(shape, weights, &format!("blocks.{}.mlp.W_out", s.layers - 1))?;
    let onto = tensor(shape, weights, "unembed.W_U")?;
    Ok(Some(out.times(&onto).transposed()))
}

fn tensor(shape: &ModelShape, weights: &[f64], name: &str) -> Result<Matrix> {
    let layout = Layout::new(shape);
    let tensor = layout.tensor(name);
    let values = weights[tensor.offset..tensor.offset + tensor.len()].to_vec();
    Matrix::new(tensor.rows, tensor.cols, values)
}
