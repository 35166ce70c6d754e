//! Named configurations.

use std::fmt;
use std::str::FromStr;

use super::keys;
use super::{
    Batch, Config, Init, LossConfig, LossKind, MlpInput, ModelConfig, ModelKind, OptimizerConfig, Prompt, Stop,
    TaskConfig, TrainConfig,
};
use crate::error::{Error, Result};
use crate::model::{Activation, Norm};

/// A named configuration; every other configuration is one of them with some keys changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// Addition mod 59 with a small transformer: groks in about 1,000 steps.
    #[default]
    Quick,
    /// The transformer of Nanda et al. (arXiv 2301.05217) on addition mod 113.
    Nanda,
    /// Two pre-LayerNorm blocks with minibatches, as in the code of Grokfast: groks, then keeps oscillating.
    Prenorm,
    /// The quadratic MLP of Gromov (2301.02679) and Doshi et al. (2310.13061), which has a closed-form solution.
    Gromov,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 4] = [Self::Quick, Self::Nanda, Self::Prenorm, Self::Gromov];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Nanda => "nanda",
            Self::Prenorm => "prenorm",
            Self::Gromov => "gromov",
        }
    }

    /// What it is, in a line.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Quick => "addition mod 59, small transformer: groks in about 1,000 steps",
            Self::Nanda => "addition mod 113, the transformer of Nanda et al. (arXiv 2301.05217)",
            Self::Prenorm => "addition mod 97, two pre-LayerNorm blocks, minibatches: groks, then oscillates",
            Self::Gromov => "addition mod 97, quadratic MLP of Gromov (2301.02679) and Doshi et al. (2310.13061)",
        }
    }

    /// The configuration.
    pub fn config(self) -> Config {
        let base = Config::default();
        match self {
            Self::Quick => base,
            Self::Nanda => Config {
                task: TaskConfig {
                    p: 113,
                    train_fraction: 0.3,
                    ..base.task
                },
                model: ModelConfig {
                    d_model: 128,
                    d_mlp: 512,
                    ..base.model
                },
                optimizer: OptimizerConfig {
                    lr: 1e-3,
                    ..base.optimizer
                },
                ..base
            },
            Self::Prenorm => Config {
                task: TaskConfig {
                    p: 97,
                    prompt: Prompt::Long,
                    ..base.task
                },
                model: ModelConfig {
                    layers: 2,
                    d_model: 128,
                    d_mlp: 512,
                    activation: Activation::Gelu,
                    norm: Norm::Pre,
                    init: Init::FanIn,
                    ..base.model
                },
                optimizer: OptimizerConfig {
                    lr: 1e-3,
                    batch: Batch::Size(512),
                    ..base.optimizer
                },
                train: TrainConfig {
                    steps: 5000,
                    stop: Stop::Never,
                    ..base.train
                },
                ..base
            },
            Self::Gromov => Config {
                task: TaskConfig { p: 97, ..base.task },
                model: ModelConfig {
                    kind: ModelKind::Mlp,
                    input: MlpInput::OneHot,
                    hidden: vec![500],
                    activation: Activation::Quadratic,
                    init: Init::Gromov,
                    ..base.model
                },
                loss: LossConfig { kind: LossKind::Mse },
                optimizer: OptimizerConfig {
                    lr: 1e-2,
                    weight_decay: 5.0,
                    warmup: 0,
                    ..base.optimizer
                },
                train: TrainConfig {
                    steps: 2000,
                    ..base.train
                },
                ..base
            },
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            let hint = keys::did_you_mean(text, names.iter().copied());
            let names = names.join(", ");
            Error::config(format!("preset {text:?} is not known{hint}; the presets are {names}"))
        })
    }
}

/// All keys of all presets as a Markdown page.
pub fn presets_page() -> String {
    let mut page = String::from(
        "# Presets and configuration keys\n\n\
         <!-- Written by tests/config.rs (GMATRIX_BLESS=1); do not edit. -->\n\n\
         A run starts from a preset (`--preset`, else `quick`); keys of the configuration file replace its values, and\n\
         `--set section.key=value` replaces both. `config.toml` in the run directory holds the result, all keys of it.\n\n",
    );
    for preset in Preset::ALL {
        page += &format!("- `{preset}`: {}\n", preset.summary());
    }
    page += "\n| key |";
    page += &Preset::ALL.map(|preset| format!(" {preset} |")).concat();
    page += "\n|---|";
    page += &"---|".repeat(Preset::ALL.len());
    let tables = Preset::ALL.map(|preset| keys::flat(&preset.config()));
    for key in keys::KEYS {
        page += &format!("\n| `{}` |", key.name);
        for table in &tables {
            match table.get(key.name) {
                Some(value) => page += &format!(" `{value}` |"),
                None => page += " |",
            }
        }
    }
    page += "\n\n## What the keys mean\n\n| key | values | meaning |\n|---|---|---|\n";
    for key in keys::KEYS {
        page += &format!("| `{}` | {} | {} |\n", key.name, key.expected, key.meaning);
    }
    page
}
