//! What a run hands to its record: rows of measured values, and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The values measured at one step of one run, one per column.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsRow {
    /// Index of the run.
    pub run: u32,
    /// Optimiser step.
    pub step: u64,
    /// One value per column, in the order of the columns; NaN is "not measured".
    pub values: Vec<f64>,
}

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// All steps were made.
    Steps,
    /// The stop condition on the test accuracy held.
    Grokked,
    /// A loss or weight was no longer finite; the last finite weights were kept.
    Diverged,
    /// The user stopped it; it can be resumed.
    Interrupted,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steps => "steps",
            Self::Grokked => "grokked",
            Self::Diverged => "diverged",
            Self::Interrupted => "interrupted",
        })
    }
}

/// How and where a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// Steps made.
    pub step: u64,
}

impl Ended {
    /// Whether nothing is left to do: an interrupted run goes on when it is resumed, every other end is final.
    pub fn is_final(&self) -> bool {
        self.reason != EndReason::Interrupted
    }
}
