//! Properties: the scalar functions of the weights whose gradients and changes are measured.

use std::fmt;
use std::str::FromStr;

use super::TaskOp;
use crate::error::{Error, Result};
use crate::task::Cyclic;

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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Coefficient of the logits of all examples at a frequency of the operation's cyclic group.
    Fourier {
        /// From 1 to half the order.
        frequency: usize,
    },
    /// Loss of the part of the logits that depends on the operands through their sum alone, at some frequencies.
    RestrictedLoss {
        /// Ascending; all where none is named.
        frequencies: Vec<usize>,
    },
    /// Sum of the logits of a split times the entries of a tensor `[N, V]`.
    Linear {
        /// Split of the samples.
        split: Split,
        /// A safetensors file.
        file: String,
        /// The tensor in it.
        tensor: String,
    },
}

impl Property {
    /// How properties are written.
    pub const GRAMMAR: &str = "train_loss, test_loss, loss, half_norm2, logit:i:c, prob:i:c, log_odds:i \
        (each also with a split, as log_odds:test:i), mean_log_odds_train, mean_log_odds_test, restricted_loss, \
        restricted_loss:k,…, fourier:k or linear:FILE#name (also linear:test:FILE#name)";

    /// The sample it belongs to, if it is a function of one sample.
    pub fn sample(&self) -> Option<(Split, usize)> {
        match *self {
            Self::Logit { split, index, .. } | Self::Prob { split, index, .. } | Self::LogOdds { split, index } => {
                Some((split, index))
            }
            _ => None,
        }
    }

    /// The highest frequency that it names, if it is about those of the operation's group; 0 where it names none.
    pub fn frequency(&self) -> Option<usize> {
        match self {
            Self::Fourier { frequency } => Some(*frequency),
            Self::RestrictedLoss { frequencies } => Some(frequencies.last().copied().unwrap_or(0)),
            _ => None,
        }
    }

    /// Whether it can be had in an operation modulo p: its group, in which the frequencies are that it names.
    ///
    /// # Errors
    /// If the operation adds in no cyclic group, or the group lacks a frequency.
    pub fn group(&self, op: TaskOp, p: u32) -> Result<Option<Cyclic>> {
        let Some(frequency) = self.frequency() else {
            return Ok(None);
        };
        let group = Cyclic::new(op, p)?;
        let highest = group.order() / 2;
        if frequency > highest {
            return Err(Error::config(format!(
                "frequency {frequency}, expected at most {highest}, half the order {} of the group",
                group.order()
            )));
        }
        Ok(Some(group))
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
        match self {
            Self::TrainLoss => f.write_str("train_loss"),
            Self::TestLoss => f.write_str("test_loss"),
            Self::Loss => f.write_str("loss"),
            Self::HalfNorm2 => f.write_str("half_norm2"),
            Self::Logit { split, index, class } => {
                sample(f, "logit", *split, *index)?;
                write!(f, ":{class}")
            }
            Self::Prob { split, index, class } => {
                sample(f, "prob", *split, *index)?;
                write!(f, ":{class}")
            }
            Self::LogOdds { split, index } => sample(f, "log_odds", *split, *index),
            Self::MeanLogOdds { split } => write!(f, "mean_log_odds_{split}"),
            Self::Fourier { frequency } => write!(f, "fourier:{frequency}"),
            Self::RestrictedLoss { frequencies } => {
                f.write_str("restricted_loss")?;
                for (place, frequency) in frequencies.iter().enumerate() {
                    write!(f, "{}{frequency}", if place == 0 { ':' } else { ',' })?;
                }
                Ok(())
            }
            Self::Linear { split, file, tensor } => {
                // A file whose name begins like a split is told from one by naming the split.
                let begins = |split: Split| file.starts_with(&format!("{split}:"));
                if *split == Split::Test || begins(Split::Train) || begins(Split::Test) {
                    write!(f, "linear:{split}:{file}#{tensor}")
                } else {
                    write!(f, "linear:{file}#{tensor}")
                }
            }
        }
    }
}

impl FromStr for Property {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(':').collect();
        let parsed = match text.strip_prefix("linear:") {
            Some(rest) => linear(rest),
            None => parse(&words),
        };
        parsed.ok_or_else(|| {
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
        ("restricted_loss", 0, _) => Some(Property::RestrictedLoss {
            frequencies: Vec::new(),
        }),
        ("restricted_loss", 1, [list]) => Some(Property::RestrictedLoss {
            frequencies: frequencies(list)?,
        }),
        ("fourier", 1, [k]) => Some(Property::Fourier {
            frequency: number(k).filter(|k| *k > 0)?,
        }),
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

/// `FILE#name`, with a split before it or without; the name is what stands behind the last `#`.
fn linear(text: &str) -> Option<Property> {
    let (split, text) = [Split::Train, Split::Test]
        .into_iter()
        .find_map(|split| Some((split, text.strip_prefix(&format!("{split}:"))?)))
        .unwrap_or((Split::Train, text));
    let (file, tensor) = text.rsplit_once('#')?;
    (!file.is_empty() && !tensor.is_empty()).then(|| Property::Linear {
        split,
        file: file.to_owned(),
        tensor: tensor.to_owned(),
    })
}

/// Numbers of at least 1 between commas, none twice, in any order; they come out ascending.
fn frequencies(text: &str) -> Option<Vec<usize>> {
    let mut list: Vec<usize> = text
        .split(',')
        .map(|k| number(k).filter(|k| *k > 0))
        .collect::<Option<_>>()?;
    list.sort_unstable();
    list.is_sorted_by(|a, b| a < b).then_some(list)
}

/// Digits only: `+1` or `01` would not be written back as they were read.
fn number(text: &str) -> Option<usize> {
    let is_canonical = text == "0" || !text.starts_with('0');
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    (is_canonical && is_digits).then(|| text.parse().ok()).flatten()
}
