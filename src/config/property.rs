//! Properties: the scalar functions of the weights whose gradients and changes are measured.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Which examples an index or a mean refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Those that are trained on; in `measure`, the given data.
    Train,
    /// The others.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// A scalar function of the weights. It is written as in [`Property::GRAMMAR`]; indices count from 0 within the split,
/// and where none is named it is `train`, which is then not written either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// Mean loss of the training split.
    TrainLoss,
    /// Mean loss of the test split.
    TestLoss,
    /// Mean loss of the data given to `measure`.
    Loss,
    /// Half the squared norm of all parameters.
    HalfNorm2,
    /// A logit.
    Logit {
        /// Split of the sample.
        split: Split,
        /// Sample.
        index: usize,
        /// Class.
        class: usize,
    },
    /// A softmax probability.
    Prob {
        /// Split of the sample.
        split: Split,
        /// Sample.
        index: usize,
        /// Class.
        class: usize,
    },
    /// Log-odds of the label of a sample: its logit less the log of the summed exponentials of all others.
    LogOdds {
        /// Split of the sample.
        split: Split,
        /// Sample.
        index: usize,
    },
    /// Mean of the log-odds over a split.
    MeanLogOdds {
        /// The split.
        split: Split,
    },
}

impl Property {
    /// How properties are written.
    pub const GRAMMAR: &str = "train_loss, test_loss, loss, half_norm2, logit:i:c, prob:i:c, log_odds:i \
        (each also with a split, as log_odds:test:i), mean_log_odds_train or mean_log_odds_test";

    /// The sample it belongs to, if it is a function of one sample.
    pub fn sample(&self) -> Option<(Split, usize)> {
        match *self {
            Self::Logit { split, index, .. } | Self::Prob { split, index, .. } | Self::LogOdds { split, index } => {
                Some((split, index))
            }
            _ => None,
        }
    }

    /// The class it belongs to, if any.
    pub fn class(&self) -> Option<usize> {
        match *self {
            Self::Logit { class, .. } | Self::Prob { class, .. } => Some(class),
            _ => None,
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sample = |f: &mut fmt::Formatter<'_>, name: &str, split: Split, index: usize| match split {
            Split::Train => write!(f, "{name}:{index}"),
            Split::Test => write!(f, "{name}:{split}:{index}"),
        };
        match *self {
            Self::TrainLoss => f.write_str("train_loss"),
            Self::TestLoss => f.write_str("test_loss"),
            Self::Loss => f.write_str("loss"),
            Self::HalfNorm2 => f.write_str("half_norm2"),
            Self::Logit { split, index, class } => {
                sample(f, "logit", split, index)?;
                write!(f, ":{class}")
            }
            Self::Prob { split, index, class } => {
                sample(f, "prob", split, index)?;
                write!(f, ":{class}")
            }
            Self::LogOdds { split, index } => sample(f, "log_odds", split, index),
            Self::MeanLogOdds { split } => write!(f, "mean_log_odds_{split}"),
        }
    }
}

impl FromStr for Property {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(':').collect();
        parse(&words).ok_or_else(|| {
            Error::config(format!(
                "property {text:?} is not known, expected {}",
                Property::GRAMMAR
            ))
        })
    }
}

fn parse(words: &[&str]) -> Option<Property> {
    let (name, rest) = words.split_first()?;
    let (split, indices) = match rest.split_first() {
        Some((&"train", indices)) => (Split::Train, indices),
        Some((&"test", indices)) => (Split::Test, indices),
        _ => (Split::Train, rest),
    };
    match (*name, rest.len(), indices) {
        ("train_loss", 0, _) => Some(Property::TrainLoss),
        ("test_loss", 0, _) => Some(Property::TestLoss),
        ("loss", 0, _) => Some(Property::Loss),
        ("half_norm2", 0, _) => Some(Property::HalfNorm2),
        ("mean_log_odds_train", 0, _) => Some(Property::MeanLogOdds { split: Split::Train }),
        ("mean_log_odds_test", 0, _) => Some(Property::MeanLogOdds { split: Split::Test }),
        ("logit", _, [i, c]) => Some(Property::Logit {
            split,
            index: number(i)?,
            class: number(c)?,
        }),
        ("prob", _, [i, c]) => Some(Property::Prob {
            split,
            index: number(i)?,
            class: number(c)?,
        }),
        ("log_odds", _, [i]) => Some(Property::LogOdds {
            split,
            index: number(i)?,
        }),
        _ => None,
    }
}

/// Digits only: `+1` or `01` would not be written back as they were read.
fn number(text: &str) -> Option<usize> {
    let is_canonical = text == "0" || !text.starts_with('0');
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    (is_canonical && is_digits).then(|| text.parse().ok()).flatten()
}
