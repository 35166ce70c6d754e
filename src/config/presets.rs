//! Named configurations.

use std::fmt;
use std::str::FromStr;

use super::keys;
use super::{
    Batch, Config, GradientFilter, Init, LossConfig, LossKind, MlpInput, ModelConfig, ModelKind, OptimizerConfig,
    OptimizerKind, Prompt, Stop, TaskConfig, TaskOp, TrainConfig,
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
    /// Multiplication mod 97 as in the code of Grokfast (2405.20233), with its EMA filter.
    Grokfast,
    /// The quadratic MLP of Gromov (2301.02679) and Doshi et al. (2310.13061), which has a closed-form solution.
    Gromov,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 5] = [Self::Quick, Self::Nanda, Self::Prenorm, Self::Grokfast, Self::Gromov];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Nanda => "nanda",
            Self::Prenorm => "prenorm",
            Self::Grokfast => "grokfast",
            Self::Gromov => "gromov",
        }
    }

    /// What it is, in a line.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Quick => "addition mod 59, small transformer: groks in about 1,000 steps",
            Self::Nanda => "addition mod 113, the transformer of Nanda et al. (arXiv 2301.05217)",
            Self::Prenorm => "addition mod 97, two pre-LayerNorm blocks, minibatches: groks, then oscillates",
            Self::Grokfast => "multiplication mod 97 with Adam and the EMA filter of Grokfast (2405.20233)",
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
                    lr: 1e-3.into(),
                    ..base.optimizer
                },
                train: TrainConfig {
                    weights_every: 200,
                    ..base.train
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
                    lr: 1e-3.into(),
                    batch: Batch::Size(512),
                    ..base.optimizer
                },
                train: TrainConfig {
                    steps: 5000,
                    stop: Stop::Never,
                    weights_every: 0,
                    ..base.train
                },
                ..base
            },
            Self::Grokfast => {
                let prenorm = Self::Prenorm.config();
                Config {
                    task: TaskConfig {
                        op: TaskOp::Mul,
                        ..prenorm.task
                    },
                    optimizer: OptimizerConfig {
                        kind: OptimizerKind::Adam,
                        weight_decay: 0.005.into(),
                        filter: GradientFilter::GrokfastEma,
                        ..prenorm.optimizer
                    },
                    train: TrainConfig {
                        weights_every: 0,
                        ..base.train
                    },
                    ..prenorm
                }
            }
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
                    lr: 1e-2.into(),
                    weight_decay: 5.0.into(),
                    warmup: 0,
                    ..base.optimizer
                },
                train: TrainConfig {
                    steps: 2000,
                    weights_every: 100,
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
    page += "\nNumbers that may follow a schedule take `{ steps = [0, 1000, 2000], values = [0, 0, 1], kind = \"linear\" }`: at each of up\n\
             to 16 steps a value, straight lines between them, and the first and last value before and after; with\n\
             `kind = \"step\"` each value holds until the next step. Warm-up of the learning rate comes on top. Measurements take\n\
             a number of steps between them; `{ log = 20 }`, about so many per decade of steps, up to 100; or\n\
             `{ every = 50, dense = 5, around = \"grokked\", width = 200 }`, every 50 steps, and every 5 in the 200 steps after the run\n\
             has noticed that it `grokked` (or `memorised`).\n";
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
