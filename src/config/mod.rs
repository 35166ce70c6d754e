//! What a run is: the complete configuration, with a default for every key.

mod check;
mod files;
mod further;
mod keys;
mod layers;
mod presets;
mod property;
mod source;
mod stages;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Activation, Norm, TensorGroup};
use crate::schedule::{Cadence, Scheduled};

pub use files::Files;
pub use further::FurtherGram;
pub(crate) use keys::flat;
#[cfg(feature = "record")]
pub(crate) use keys::key_names;
pub use layers::Layers;
pub(crate) use layers::known;
pub use presets::{Preset, presets_page};
pub use property::{Property, Split};
pub(crate) use source::{Entry, Place, Source, plain};
#[cfg(feature = "cli")]
pub(crate) use stages::check_stages;

/// A complete run configuration; the TOML file has one table per field.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is learnt, on which data.
    pub task: TaskConfig,
    /// The network.
    pub model: ModelConfig,
    /// What is minimised.
    pub loss: LossConfig,
    /// How it is minimised.
    pub optimizer: OptimizerConfig,
    /// How long, and what is kept.
    pub train: TrainConfig,
    /// What is measured, and how often.
    pub stats: StatsConfig,
}

impl Config {
    /// Reads a TOML file; keys it lacks have their defaults, which are preset `quick`.
    ///
    /// # Errors
    /// Names file, line, column and key, what was found and what was expected.
    pub fn from_file(path: &Path) -> Result<Self> {
        Layers::new(Preset::Quick).file(path)?.build()
    }

    /// All keys as TOML, from which [`Config::from_file`] reads the same configuration.
    ///
    /// # Errors
    /// If the seed is above what TOML can hold, 2^63 - 1.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config(format!("the configuration cannot be written as TOML: {e}")))
    }

    /// Whether all values can be.
    ///
    /// # Errors
    /// Names the first value that cannot, and what was expected.
    pub fn check(&self) -> Result<()> {
        check::check(self).map_err(|fault| Error::config(fault.text))
    }
}

/// `[task]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskConfig {
    /// The operation, or how the data are read.
    pub op: TaskOp,
    /// Modulus of a modular operation.
    pub p: u32,
    /// `"a b ="` or `"a op b ="`.
    pub prompt: Prompt,
    /// Length of the bit strings of `parity`.
    pub bits: u32,
    /// How many of the bits `parity` depends on.
    pub parity: u32,
    /// Share of all examples that is trained on, in (0, 1).
    pub train_fraction: f64,
    /// Examples that are trained on, instead of a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_samples: Option<usize>,
    /// Examples that are tested on, instead of all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_samples: Option<usize>,
    /// Seed of the examples, the split, the initial weights, the batch order and the label noise.
    pub seed: u64,
    /// Replace every label by a uniform draw: the control in which nothing can be learnt but the table.
    pub random_labels: bool,
    /// Share of the training labels that is replaced by another class, in [0, 1].
    pub label_noise: f64,
    /// The data of an operation that reads files.
    #[serde(skip_serializing_if = "Files::is_empty")]
    pub file: Files,
    /// Test data of an operation that reads files; with none, `file` is split.
    #[serde(skip_serializing_if = "Files::is_empty")]
    pub test_file: Files,
}

impl TaskConfig {
    /// Whether all values can be.
    ///
    /// # Errors
    /// Names the first value that cannot, and what was expected.
    pub fn check(&self) -> Result<()> {
        check::task(self).map_err(|fault| Error::config(fault.text))
    }
}

/// The operation whose table is learnt, or how the data are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOp {
    /// (a + b) mod p
    Add,
    /// (a - b) mod p
    Sub,
    /// (a * b) mod p
    Mul,
    /// a / b mod p, p prime, b != 0
    Div,
    /// (a^2 + b^2) mod p
    SumSquares,
    /// (a^2 + a b + b^2) mod p
    Quadratic,
    /// a after b, of permutations of five things
    S5,
    /// sum modulo 2 of a few secret bits of a random string
    Parity,
    /// tokens or real inputs, and labels, from a safetensors file
    File,
    /// images and labels in the IDX files of MNIST
    Idx,
    /// images and labels in the binary batches of CIFAR-10
    Cifar10,
    /// images and fine labels in the binary files of CIFAR-100
    Cifar100,
}

impl TaskOp {
    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::SumSquares => "sum_squares",
            Self::Quadratic => "quadratic",
            Self::S5 => "s5",
            Self::Parity => "parity",
            Self::File => "file",
            Self::Idx => "idx",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
        }
    }

    /// Whether its examples come from files.
    pub fn reads_files(self) -> bool {
        matches!(self, Self::File | Self::Idx | Self::Cifar10 | Self::Cifar100)
    }

    /// Whether its operands are residues modulo p.
    pub fn is_modular(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::SumSquares | Self::Quadratic
        )
    }
}

/// How a pair is written as tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    /// Three tokens: a, b, and `=`, the token behind all operands (p).
    #[serde(rename = "a b =")]
    Short,
    /// Four tokens: a, the operation (the token behind `=`, p + 1), b, and `=` (token p).
    #[serde(rename = "a op b =")]
    Long,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// `transformer` or `mlp`.
    pub kind: ModelKind,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream, or of the MLP's embedding.
    pub d_model: usize,
    /// Attention heads; divides `d_model`.
    pub heads: usize,
    /// Width of the transformer's MLP.
    pub d_mlp: usize,
    /// Non-linearity.
    pub activation: Activation,
    /// Layer normalisation.
    pub norm: Norm,
    /// Whether the transformer's attention has biases.
    pub attention_biases: bool,
    /// Whether the transformer's unembedding has a bias.
    pub unembed_bias: bool,
    /// What the MLP sees: `one_hot` or `embedding` (files may bring `float` inputs).
    pub input: MlpInput,
    /// Hidden widths of the MLP.
    pub hidden: Vec<usize>,
    /// Whether the MLP's layers have biases.
    pub bias: bool,
    /// Share of the hidden activations that each step sets to zero.
    pub dropout: Scheduled,
    /// Share of the uniform distribution over the visible positions in the transformer's patterns of attention.
    pub attention_mix: Scheduled,
    /// Initialisation.
    pub init: Init,
    /// Factor on every initial weight matrix.
    pub init_scale: f64,
}

/// The family of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Decoder-only transformer whose last position counts.
    Transformer,
    /// Multi-layer perceptron.
    Mlp,
}

/// What an MLP takes as its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MlpInput {
    /// One-hot tokens, concatenated over positions.
    OneHot,
    /// Embedded tokens, concatenated over positions.
    Embedding,
    /// Real vectors: from a file, or the bits of `parity` as -1 and 1.
    Float,
}

/// Standard deviation of the initial weights; biases start at 0, gains at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// 1/sqrt(d_model) for every matrix, 1/sqrt(d_vocab_out) for the unembedding (Nanda et al. 2301.05217).
    Nanda,
    /// 1/sqrt(fan-in) for every matrix; embeddings 1/sqrt(width).
    FanIn,
    /// 0.5/(2 width)^(1/3) with the hidden width (Doshi et al. 2310.13061), for the quadratic MLP.
    Gromov,
}

/// `[loss]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Which loss.
    pub kind: LossKind,
}

/// The loss of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Cross-entropy without cancellation.
    CrossEntropy,
    /// Cross-entropy through log-softmax, as most float32 code computes it: an experimental arm.
    CrossEntropyNaive,
    /// Mean over the classes of the squared distance to the one-hot label.
    Mse,
    /// -log(s(z_y) / sum of s(z_j)) with s(x) = x + 1 for x >= 0, else 1/(1 - x) (Prieto et al. 2501.04697).
    Stablemax,
}

/// `[optimizer]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Update rule.
    pub kind: OptimizerKind,
    /// Learning rate.
    pub lr: Scheduled,
    /// Weight decay: decoupled in `adamw`, added to the gradient elsewhere.
    pub weight_decay: Scheduled,
    /// Overrides of `weight_decay` by tensor group.
    pub weight_decay_groups: BTreeMap<TensorGroup, Scheduled>,
    /// First-moment decay; the momentum of `momentum` and `nesterov`. Adam's bias is corrected with 1 - beta^t, beta that of
    /// step t.
    pub beta1: Scheduled,
    /// Second-moment decay.
    pub beta2: Scheduled,
    /// Added to the root of the second moment.
    pub eps: Scheduled,
    /// Steps of linear warm-up: step t (from 0) uses lr * min((t + 1)/warmup, 1).
    pub warmup: u32,
    /// Samples of a step.
    pub batch: Batch,
    /// Largest 2-norm of the gradient that the optimiser takes; 0 for any.
    pub clip: Scheduled,
    /// Filter of the gradient over steps.
    pub filter: GradientFilter,
    /// Decay of `grokfast_ema`'s average.
    pub filter_alpha: Scheduled,
    /// Weight with which the filter's average is added to the gradient.
    pub filter_lambda: Scheduled,
    /// Gradients in the average of `grokfast_ma`.
    pub filter_window: u32,
    /// Where the gradient's part along the weights is taken out.
    pub perpendicular: Regions,
    /// Pull towards zero of the same strength on every weight: with `weight_decay`, decoupled in `adamw`.
    pub l1: Scheduled,
    /// Size of the Gaussian noise added to the mean gradient.
    pub noise: Scheduled,
    /// What that size is measured in.
    pub noise_scale: NoiseScale,
    /// Whose norm is held at every step, by rescaling the weights after the update.
    pub hold_norm: Regions,
    /// The norm that is held, as a multiple of the initial one.
    pub hold_factor: Scheduled,
}

/// Update rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Gradient descent, coupled L2.
    Sgd,
    /// Heavy ball as in PyTorch (buf = beta1 buf + g), coupled L2.
    Momentum,
    /// Adam with coupled L2.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
    /// Momentum with Nesterov's look-ahead as in PyTorch (buf = beta1 buf + g, step along g + beta1 buf), coupled L2.
    Nesterov,
}

/// Filters of the gradient over steps (Lee et al. 2405.20233): an average of gradients is added to the step's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientFilter {
    /// None.
    None,
    /// g + lambda mu with mu = alpha mu + (1 - alpha) g; the first gradient starts the average.
    GrokfastEma,
    /// g + lambda (mean of the last `filter_window` gradients), once there are so many.
    GrokfastMa,
}

/// The standard deviation of the noise added to each entry of the mean gradient g.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseScale {
    /// `noise` itself.
    Absolute,
    /// `noise` |g| / sqrt(P): the noise is then about `noise` times as long as the gradient.
    Relative,
}

/// Parts of the weights that a norm or a projection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regions {
    /// Not at all.
    None,
    /// Each tensor by itself; K and V of a block, which share their input, are one.
    Tensor,
    /// All parameters together.
    Global,
}

/// Samples of a step: all, or so many from the concatenated epoch permutations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// The whole training split in its own order.
    Full,
    /// A minibatch of this size.
    Size(usize),
}

/// `[train]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Most optimiser steps.
    pub steps: u32,
    /// When to end earlier.
    pub stop: Stop,
    /// Steps between checkpoints.
    pub checkpoint_every: u32,
    /// Steps between weights that are kept beside those of checkpoints; 0 for none.
    pub weights_every: u32,
    /// Steps the device runs between two looks of the host.
    pub chunk: u32,
}

/// When a run ends before its last step. Written `"never"` or `"grokked+K"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the last step only.
    Never,
    /// So many steps after the running median of the test accuracy reached 0.95.
    Grokked {
        /// Steps after grokking.
        plus: u32,
    },
}

/// `[stats]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatsConfig {
    /// When rows have the scalars of the step's batch.
    pub scalars_every: Cadence,
    /// When both splits are evaluated.
    pub evaluate_every: Cadence,
    /// When Gram matrices are measured; 0 for never.
    pub gram_every: Cadence,
    /// When steps are decomposed (ntcov, prediction against measured change); 0 for never.
    pub decompose_every: Cadence,
    /// Size of the fixed Gram subset of the training split.
    pub samples: Samples,
    /// Whether spectra are solved.
    pub spectrum: Spectrum,
    /// Random probes of `spectrum = "lanczos"`.
    pub probes: usize,
    /// Gram matrices beside the three forms that every run has.
    pub grams: Vec<FurtherGram>,
    /// Steps of a window over which minibatches are averaged; 0 for no such averages.
    pub stream: u32,
    /// The properties whose change is predicted.
    pub properties: Vec<String>,
}

/// How many training samples the Gram subset holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// The whole training split.
    All,
    /// A seeded subset of this size (all, if the split is smaller).
    Count(usize),
}

/// How the spectrum of a Gram matrix is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spectrum {
    /// All eigenvalues, in f64.
    Exact,
    /// The leading eigenvalues, and the rest by random probes; with standard errors.
    Lanczos,
    /// None: statistics that need no spectrum are streamed from tiles, without an N x N buffer.
    Off,
}
