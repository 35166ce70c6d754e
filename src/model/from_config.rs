//! The shape a configuration asks for, given the task it is to learn.

use super::{MlpShape, ModelShape, TransformerShape};
use crate::config::{MlpInput, ModelConfig, ModelKind};
use crate::error::{Error, Result};
use crate::task::Task;

/// Largest width, vocabulary or length.
const MAX_SIZE: usize = 1 << 22;
/// Most layers.
const MAX_LAYERS: usize = 1 << 12;

impl ModelShape {
    /// The network that `config` describes, with the tokens and classes of `task`.
    ///
    /// # Errors
    /// If a key of `[model]` is wrong or does not suit the task's inputs.
    pub fn from_config(config: &ModelConfig, task: &Task) -> Result<Self> {
        let real = task.train.is_real();
        let shape = match config.kind {
            ModelKind::Transformer if real => {
                return Err(Error::config(
                    "model.kind = \"transformer\" needs tokens, but the data have real inputs, expected \"mlp\"",
                ));
            }
            ModelKind::Transformer => Self::Transformer(TransformerShape {
                layers: config.layers,
                d_model: config.d_model,
                heads: config.heads,
                d_mlp: config.d_mlp,
                activation: config.activation,
                norm: config.norm,
                attention_biases: config.attention_biases,
                unembed_bias: config.unembed_bias,
                attention_mix: 0.0,
                n_ctx: task.n_ctx,
                d_vocab: task.d_vocab,
                d_vocab_out: task.d_vocab_out,
            }),
            ModelKind::Mlp => {
                if real != (config.input == MlpInput::Float) {
                    let (data, expected) = if real {
                        ("real inputs", "\"float\"")
                    } else {
                        ("tokens", "\"one_hot\" or \"embedding\"")
                    };
                    return Err(Error::config(format!(
                        "model.input does not suit data with {data}, expected {expected}"
                    )));
                }
                Self::Mlp(MlpShape {
                    input: config.input,
                    d_vocab: task.d_vocab,
                    n_ctx: task.n_ctx,
                    d_model: match config.input {
                        MlpInput::OneHot => 0,
                        MlpInput::Embedding => config.d_model,
                        MlpInput::Float => task.train.width,
                    },
                    hidden: config.hidden.clone(),
                    activation: config.activation,
                    bias: config.bias,
                    d_vocab_out: task.d_vocab_out,
                })
            }
        };
        shape.check()?;
        shape.check_sizes()?;
        Ok(shape)
    }

    /// Refuses a shape so large that counting its parameters could overflow.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Config`], naming the field.
    pub fn check_sizes(&self) -> Result<()> {
        let (sizes, layers) = match self {
            Self::Transformer(s) => (
                vec![
                    ("d_model", s.d_model),
                    ("d_mlp", s.d_mlp),
                    ("n_ctx", s.n_ctx),
                    ("d_vocab", s.d_vocab),
                    ("d_vocab_out", s.d_vocab_out),
                ],
                ("layers", s.layers),
            ),
            Self::Mlp(s) => (
                [
                    ("d_vocab", s.d_vocab),
                    ("n_ctx", s.n_ctx),
                    ("d_model", s.d_model),
                    ("n_ctx * d_vocab", s.n_ctx.saturating_mul(s.d_vocab)),
                    ("n_ctx * d_model", s.n_ctx.saturating_mul(s.d_model)),
                    ("d_vocab_out", s.d_vocab_out),
                ]
                .into_iter()
                .chain(s.hidden.iter().map(|&width| ("hidden", width)))
                .collect(),
                ("length of hidden", s.hidden.len()),
            ),
        };
        for ((name, size), limit) in sizes
            .into_iter()
            .map(|size| (size, MAX_SIZE))
            .chain([(layers, MAX_LAYERS)])
        {
            if size > limit {
                return Err(Error::config(format!(
                    "model: {name} = {size}, expected at most {limit}"
                )));
            }
        }
        Ok(())
    }

    /// Length of a real input vector; none where the input is tokens.
    pub fn input_width(&self) -> Option<usize> {
        match self {
            Self::Mlp(s) if s.input == MlpInput::Float => Some(s.d_model),
            _ => None,
        }
    }
}
