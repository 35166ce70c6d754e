//! The shape of a network: all that its parameters and its passes depend on. Stored as JSON beside the weights.

use serde::{Deserialize, Serialize};

use crate::config::MlpInput;
use crate::error::{Error, Result};

/// Non-linearity of a hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x Phi(x), with the exact normal distribution function
    Gelu,
    /// x^2
    Quadratic,
}

impl Activation {
    /// Its number in kernels.
    pub fn code(self) -> u32 {
        self as u32
    }
}

/// Layer normalisation of a transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// None.
    None,
    /// Before attention, before the MLP and before the unembedding.
    Pre,
}

/// The shape of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelShape {
    /// Decoder-only transformer.
    Transformer(TransformerShape),
    /// Multi-layer perceptron.
    Mlp(MlpShape),
}

/// Decoder-only transformer with learned positions and an untied unembedding; the last position's logits count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerShape {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Heads of d_model / heads columns each.
    pub heads: usize,
    /// Hidden width of the MLP.
    pub d_mlp: usize,
    /// Its non-linearity.
    pub activation: Activation,
    /// Layer normalisation.
    pub norm: Norm,
    /// Whether Q, K, V and the output of attention have biases.
    #[serde(default)]
    pub attention_biases: bool,
    /// Whether the unembedding has a bias.
    #[serde(default)]
    pub unembed_bias: bool,
    /// Share of the uniform distribution over the visible positions in every pattern of attention, where given weights
    /// are measured; in training the configuration says it, step by step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attention_mix: f64,
    /// Positions T.
    pub n_ctx: usize,
    /// Input tokens.
    pub d_vocab: usize,
    /// Classes V.
    pub d_vocab_out: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

/// Multi-layer perceptron: all layers but the last are followed by the non-linearity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpShape {
    /// One-hot tokens, embedded tokens or real vectors.
    pub input: MlpInput,
    /// Input tokens (0 for real vectors).
    pub d_vocab: usize,
    /// Tokens a sample has (1 for real vectors).
    pub n_ctx: usize,
    /// Width of the embedding, or of a real input vector; 0 for one-hot.
    pub d_model: usize,
    /// Hidden widths.
    pub hidden: Vec<usize>,
    /// Non-linearity.
    pub activation: Activation,
    /// Whether layers have biases.
    pub bias: bool,
    /// Classes V.
    pub d_vocab_out: usize,
}

impl MlpShape {
    /// Rows of the first layer's weight matrix.
    pub fn d_in(&self) -> usize {
        match self.input {
            MlpInput::OneHot => self.n_ctx * self.d_vocab,
            MlpInput::Embedding => self.n_ctx * self.d_model,
            MlpInput::Float => self.d_model,
        }
    }
}

impl ModelShape {
    /// Tokens of a sample, T.
    pub fn n_ctx(&self) -> usize {
        match self {
            Self::Transformer(s) => s.n_ctx,
            Self::Mlp(s) => s.n_ctx,
        }
    }

    /// Input tokens; 0 where the input is real vectors.
    pub fn d_vocab(&self) -> usize {
        match self {
            Self::Transformer(s) => s.d_vocab,
            Self::Mlp(s) => s.d_vocab,
        }
    }

    /// Classes V.
    pub fn classes(&self) -> usize {
        match self {
            Self::Transformer(s) => s.d_vocab_out,
            Self::Mlp(s) => s.d_vocab_out,
        }
    }

    /// Share of the uniform distribution in the patterns of attention; 0 where there is no attention.
    pub fn attention_mix(&self) -> f64 {
        match self {
            Self::Transformer(s) => s.attention_mix,
            Self::Mlp(_) => 0.0,
        }
    }

    /// The same network with this share of the uniform distribution, if it has attention.
    #[must_use]
    pub fn with_attention_mix(mut self, mix: f64) -> Self {
        if let Self::Transformer(s) = &mut self {
            s.attention_mix = mix;
        }
        self
    }

    /// Refuses a shape that no network can have.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Config`], naming the field.
    pub fn check(&self) -> Result<()> {
        let positive = |name: &str, value: usize| {
            if value == 0 {
                Err(Error::config(format!("model: {name} is 0, expected at least 1")))
            } else {
                Ok(())
            }
        };
        match self {
            Self::Transformer(s) => {
                for (name, value) in [
                    ("layers", s.layers),
                    ("d_model", s.d_model),
                    ("heads", s.heads),
                    ("d_mlp", s.d_mlp),
                    ("n_ctx", s.n_ctx),
                    ("d_vocab", s.d_vocab),
                    ("d_vocab_out", s.d_vocab_out),
                ] {
                    positive(name, value)?;
                }
                if !(0.0..=1.0).contains(&s.attention_mix) {
                    return Err(Error::config(format!(
                        "model: attention_mix is {}, expected a number from 0 to 1",
                        s.attention_mix
                    )));
                }
                if s.d_model % s.heads != 0 {
                    return Err(Error::config(format!(
                        "model: heads = {} does not divide d_model = {}",
                        s.heads, s.d_model
                    )));
                }
            }
            Self::Mlp(s) => {
                positive("n_ctx", s.n_ctx)?;
                positive("d_vocab_out", s.d_vocab_out)?;
                match s.input {
                    MlpInput::OneHot => positive("d_vocab", s.d_vocab)?,
                    MlpInput::Embedding => {
                        positive("d_vocab", s.d_vocab)?;
                        positive("d_model", s.d_model)?;
                    }
                    MlpInput::Float => positive("d_model (width of the inputs)", s.d_model)?,
                }
                if s.hidden.contains(&0) {
                    return Err(Error::config("model: hidden holds a width of 0, expected at least 1"));
                }
            }
        }
        Ok(())
    }
}
