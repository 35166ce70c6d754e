//! Initial weights: a function of shape, scheme and seed alone, the same on every backend.

use super::{External, Layout, ModelShape, TensorGroup};
use crate::config::{Init, ModelConfig};
use crate::random::{Purpose, Stream};

/// Initial weights in the order of the arena, before they are rounded to the precision of the run.
///
/// Element `i` of a tensor as files know it is normal draw `i` of the sub-stream that belongs to its name. So a draw
/// depends neither on how the arena is laid out nor on which other tensors the network has. Biases are 0, gains 1.
pub fn initial_weights(shape: &ModelShape, config: &ModelConfig, seed: u64) -> Vec<f64> {
    let layout = Layout::new(shape);
    let mut weights = vec![0.0; layout.len];
    for external in &layout.externals {
        let stream = Stream::new(seed, Purpose::InitialWeights).substream(name_hash(&external.name));
        let sd = config.init_scale * standard_deviation(config.init, shape, &layout, external);
        for (i, at) in external.indices(&layout).enumerate() {
            weights[at] = match layout.tensors[external.tensor].group {
                TensorGroup::Bias => 0.0,
                TensorGroup::Norm if external.name.ends_with(".w") => 1.0,
                TensorGroup::Norm => 0.0,
                _ => sd * stream.normal(i as u64),
            };
        }
    }
    weights
}

/// Standard deviation of a weight matrix, before the factor `init_scale`.
fn standard_deviation(init: Init, shape: &ModelShape, layout: &Layout, external: &External) -> f64 {
    let tensor = &layout.tensors[external.tensor];
    let root = |n: usize| 1.0 / (n as f64).sqrt();
    let fan_in = match tensor.group {
        // A look-up: what adds up is one row, not the rows of all tokens.
        TensorGroup::Embed | TensorGroup::Position => root(tensor.cols),
        _ => root(tensor.rows),
    };
    match (init, shape) {
        (Init::Nanda, ModelShape::Transformer(s)) => match tensor.group {
            TensorGroup::Unembed => root(s.d_vocab_out),
            _ => root(s.d_model),
        },
        // An MLP has no residual stream whose width could set the scale.
        (Init::Nanda, ModelShape::Mlp(_)) | (Init::FanIn, _) => fan_in,
        (Init::Gromov, _) => 0.5 / (2.0 * hidden_width(shape, &external.name) as f64).cbrt(),
    }
}

/// The hidden width that a matrix leads to, or comes from if it is the last.
fn hidden_width(shape: &ModelShape, name: &str) -> usize {
    match shape {
        ModelShape::Transformer(s) => s.d_mlp,
        ModelShape::Mlp(s) => {
            let layer = name.strip_prefix("layers.").and_then(|rest| rest.split('.').next());
            let layer: usize = layer.and_then(|number| number.parse().ok()).unwrap_or(0);
            let width = s.hidden.get(layer).or(s.hidden.last());
            width.copied().unwrap_or_else(|| s.d_in())
        }
    }
}

/// FNV-1a of a tensor's name: the number of its sub-stream.
fn name_hash(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::model::{Activation, Norm, TransformerShape};

    #[test]
    fn no_two_tensors_of_a_deep_network_share_a_stream() {
        let layout = Layout::new(&ModelShape::Transformer(TransformerShape {
            layers: 96,
            d_model: 2,
            heads: 1,
            d_mlp: 2,
            activation: Activation::Relu,
            norm: Norm::Pre,
            attention_biases: false,
            unembed_bias: false,
            attention_mix: 0.0,
            n_ctx: 2,
            d_vocab: 2,
            d_vocab_out: 2,
        }));
        let hashes: HashSet<u32> = layout.externals.iter().map(|e| name_hash(&e.name)).collect();
        assert_eq!(hashes.len(), layout.externals.len());
    }
}
