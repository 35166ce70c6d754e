//! How values with more than one form are written in TOML, and the defaults, which are preset `quick`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    Batch, Files, GradientFilter, Init, LossConfig, LossKind, MlpInput, ModelConfig, ModelKind, NoiseScale,
    OptimizerConfig, OptimizerKind, Prompt, Regions, Samples, Spectrum, StatsConfig, Stop, TaskConfig, TaskOp,
    TrainConfig,
};
use crate::model::{Activation, Norm};

/// A word or a count.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number or a word in quotes")]
enum WordOrCount {
    Count(usize),
    Word(String),
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Full => serializer.serialize_str("full"),
            Self::Size(n) => serializer.serialize_u64(*n as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOrCount::deserialize(deserializer)? {
            WordOrCount::Count(n) if n > 0 => Ok(Self::Size(n)),
            WordOrCount::Word(w) if w == "full" => Ok(Self::Full),
            _ => Err(D::Error::custom("expected \"full\" or a batch size of at least 1")),
        }
    }
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Count(n) => serializer.serialize_u64(*n as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOrCount::deserialize(deserializer)? {
            WordOrCount::Count(n) if n > 0 => Ok(Self::Count(n)),
            WordOrCount::Word(w) if w == "all" => Ok(Self::All),
            _ => Err(D::Error::custom(
                "expected \"all\" or a number of samples of at least 1",
            )),
        }
    }
}

impl Serialize for Stop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_str("never"),
            Self::Grokked { plus } => serializer.collect_str(&format_args!("grokked+{plus}")),
        }
    }
}

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let parsed = match word.as_str() {
            "never" => Some(Self::Never),
            "grokked" => Some(Self::Grokked { plus: 0 }),
            _ => word
                .strip_prefix("grokked+")
                .and_then(|k| k.trim().parse().ok())
                .map(|plus| Self::Grokked { plus }),
        };
        parsed.ok_or_else(|| D::Error::custom(format!("expected \"never\" or \"grokked+K\", found {word:?}")))
    }
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            op: TaskOp::Add,
            p: 59,
            prompt: Prompt::Short,
            bits: 40,
            parity: 3,
            train_fraction: 0.5,
            train_samples: None,
            test_samples: None,
            seed: 0,
            random_labels: false,
            label_noise: 0.0,
            file: Files::default(),
            test_file: Files::default(),
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelKind::Transformer,
            layers: 1,
            d_model: 64,
            heads: 4,
            d_mlp: 256,
            activation: Activation::Relu,
            norm: Norm::None,
            attention_biases: false,
            unembed_bias: false,
            input: MlpInput::OneHot,
            hidden: vec![256],
            bias: false,
            dropout: 0.0.into(),
            attention_mix: 0.0.into(),
            init: Init::Nanda,
            init_scale: 1.0,
        }
    }
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::CrossEntropy,
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            lr: 3e-3.into(),
            weight_decay: 1.0.into(),
            weight_decay_groups: BTreeMap::new(),
            beta1: 0.9.into(),
            beta2: 0.98.into(),
            eps: 1e-8.into(),
            warmup: 10,
            batch: Batch::Full,
            clip: 0.0.into(),
            filter: GradientFilter::None,
            filter_alpha: 0.98.into(),
            filter_lambda: 2.0.into(),
            filter_window: 100,
            perpendicular: Regions::None,
            l1: 0.0.into(),
            noise: 0.0.into(),
            noise_scale: NoiseScale::Absolute,
            hold_norm: Regions::None,
            hold_factor: 1.0.into(),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 20_000,
            stop: Stop::Grokked { plus: 500 },
            checkpoint_every: 1000,
            weights_every: 20,
            chunk: 50,
        }
    }
}

impl Default for StatsConfig {
    fn default() -> Self {
        Self {
            scalars_every: 1.into(),
            evaluate_every: 10.into(),
            gram_every: 50.into(),
            decompose_every: 50.into(),
            samples: Samples::Count(512),
            spectrum: Spectrum::Exact,
            probes: 16,
            grams: Vec::new(),
            stream: 0,
            properties: vec!["train_loss".to_owned(), "test_loss".to_owned()],
        }
    }
}
