//! Gram matrices that are measured only where they are asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::keys;
use crate::error::{Error, Result};

/// A Gram matrix, or a set of them, beside the three forms that every run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FurtherGram {
    /// Cosines of the loss's gradients, centred.
    CentredCosine,
    /// Gradients of the margin of the label's logit: what the residual, which weights the loss's gradient, leaves.
    UnitResidual,
    /// Gradients of the loss in the metric of Adam.
    Preconditioned,
    /// Gradients of the loss with respect to each group of tensors.
    Group,
    /// The captured inputs of every matrix.
    Activation,
    /// The logits.
    Function,
    /// Pairs of gradients within and between splits and classes.
    Block,
}

impl FurtherGram {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 7] = [
        Self::CentredCosine,
        Self::UnitResidual,
        Self::Preconditioned,
        Self::Group,
        Self::Activation,
        Self::Function,
        Self::Block,
    ];

    /// Its name in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::CentredCosine => "centred_cosine",
            Self::UnitResidual => "unit_residual",
            Self::Preconditioned => "preconditioned",
            Self::Group => "group",
            Self::Activation => "activation",
            Self::Function => "function",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for FurtherGram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FurtherGram {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|gram| gram.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let hint = keys::did_you_mean(text, names.into_iter());
            Error::config(format!("{text:?} is not known{hint}; expected {}", names.join(", ")))
        })
    }
}
