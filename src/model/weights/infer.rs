//! The shape of a network whose file does not state it.

use crate::config::MlpInput;
use crate::error::Result;
use crate::model::{Activation, MlpShape, ModelShape, Norm, TransformerShape};
use crate::task::Examples;
use crate::tensor_file::TensorFile;

/// What cannot be seen in the shapes of the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// The non-linearity; ReLU if not given. In a file with a configuration it must agree.
    pub activation: Option<Activation>,
    /// Tokens of an example, which tell the vocabulary of an MLP with one-hot input.
    pub n_ctx: Option<usize>,
    /// Whether an MLP without an embedding takes real vectors.
    pub real_inputs: bool,
}

impl Overrides {
    /// What the data tell, and an activation.
    pub fn for_examples(examples: &Examples, activation: Option<Activation>) -> Self {
        Self {
            activation,
            n_ctx: Some(examples.t),
            real_inputs: examples.is_real(),
        }
    }
}

/// The shape of the network in `file`.
pub(super) fn infer_shape(file: &TensorFile, overrides: Overrides) -> Result<ModelShape> {
    let activation = overrides.activation.unwrap_or(Activation::Relu);
    if file.contains("blocks.0.attn.W_Q") {
        transformer(file, activation)
    } else if file.contains("layers.0.W") {
        mlp(file, activation, overrides)
    } else {
        Err(file.error("has neither blocks.0.attn.W_Q (a transformer) nor layers.0.W (an MLP)"))
    }
}

fn transformer(file: &TensorFile, activation: Activation) -> Result<ModelShape> {
    let [d_vocab, d_model] = file.dims("embed.W_E", "[d_vocab, d_model]")?;
    let [n_ctx, _] = file.dims("pos_embed.W_pos", "[n_ctx, d_model]")?;
    let [heads, _, _] = file.dims("blocks.0.attn.W_Q", "[heads, d_model, d_head]")?;
    let [_, d_mlp] = file.dims("blocks.0.mlp.W_in", "[d_model, d_mlp]")?;
    let [_, d_vocab_out] = file.dims("unembed.W_U", "[d_model, d_vocab_out]")?;
    let normalised = file
        .names()
        .iter()
        .any(|name| name.contains(".ln1.") || name.contains(".ln2.") || name.starts_with("ln_final."));
    Ok(ModelShape::Transformer(TransformerShape {
        layers: count(file, |l| format!("blocks.{l}.attn.W_Q")),
        d_model,
        heads,
        d_mlp,
        activation,
        norm: if normalised { Norm::Pre } else { Norm::None },
        attention_biases: has_attention_biases(file),
        unembed_bias: has_unembed_bias(file),
        attention_mix: 0.0,
        n_ctx,
        d_vocab,
        d_vocab_out,
    }))
}

/// Whether attention has biases: all four in every block, or the file is found to lack one.
pub(super) fn has_attention_biases(file: &TensorFile) -> bool {
    file.names().iter().any(|name| name.contains(".attn.b_"))
}

/// Whether the unembedding has a bias.
pub(super) fn has_unembed_bias(file: &TensorFile) -> bool {
    file.contains("unembed.b_U")
}

fn mlp(file: &TensorFile, activation: Activation, overrides: Overrides) -> Result<ModelShape> {
    let layers = count(file, |l| format!("layers.{l}.W"));
    let mut widths = Vec::with_capacity(layers);
    for l in 0..layers {
        let [_, d_out] = file.dims(&format!("layers.{l}.W"), "[d_in, d_out]")?;
        widths.push(d_out);
    }
    // There is a layer 0, or this would not have been taken for an MLP.
    let d_vocab_out = widths.pop().unwrap_or_default();
    let [d_in, _] = file.dims("layers.0.W", "[d_in, d_out]")?;
    let positions = |width: usize, of: &str| {
        if width > 0 && d_in % width == 0 {
            Ok(d_in / width)
        } else {
            Err(file.error(format!(
                "layers.0.W has {d_in} rows, expected a multiple of {width} ({of})"
            )))
        }
    };
    let (input, d_vocab, n_ctx, d_model) = if file.contains("embed.W_E") {
        let [d_vocab, d_model] = file.dims("embed.W_E", "[d_vocab, d_model]")?;
        let n_ctx = positions(d_model, "the width of embed.W_E")?;
        (MlpInput::Embedding, d_vocab, n_ctx, d_model)
    } else if overrides.real_inputs {
        (MlpInput::Float, 0, 1, d_in)
    } else if let Some(n_ctx) = overrides.n_ctx {
        let d_vocab = positions(n_ctx, "the tokens of an example")?;
        (MlpInput::OneHot, d_vocab, n_ctx, 0)
    } else {
        return Err(file.error("has no metadata `config`, which an MLP without embed.W_E needs"));
    };
    Ok(ModelShape::Mlp(MlpShape {
        input,
        d_vocab,
        n_ctx,
        d_model,
        hidden: widths,
        activation,
        bias: file.contains("layers.0.b"),
        d_vocab_out,
    }))
}

/// How many of the consecutively numbered tensors there are.
fn count(file: &TensorFile, name: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|&l| file.contains(&name(l))).count()
}
