//! Seven statements about Price's equation in neural networks, tried on small networks in f64 on the host.
//!
//! Each statement has *checks*, which it must pass to hold, and *predictions*: what the arithmetic in the files' headers
//! says beside it. Bounds are fixed here; what is measured depends on the seed alone. `gmatrix theory` prints the table.
//!
//! | claim | file |
//! |---|---|
//! | 20 a property moves by its ntcov with the utility | [`flow`] |
//! | 21 ntcov is bilinear | [`algebra`] |
//! | 22 a policy grows by juice | [`policy`] |
//! | 23 ntvar is proportional to p(1 - p) | [`bernoulli`] |
//! | 24 what is improbable grows slowly | [`slow_start`] |
//! | 25 the equation survives realistic optimisers | [`optimizers`] |
//! | 26 the covariance of a population plays the part of a G-matrix | [`cloud`] |

pub mod algebra;
pub mod bernoulli;
pub mod cloud;
pub mod flow;
pub mod network;
pub mod optimizers;
pub mod policy;
pub mod slow_start;

use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::analysis::draws::Draws;
use crate::error::Result;
use crate::random::{Purpose, Stream};

/// What a number must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Between these, both included.
    Within(f64, f64),
    /// Anything: it is reported.
    Any,
}

impl Expected {
    /// Whether a number is as expected. NaN never is.
    pub fn met(self, measured: f64) -> bool {
        match self {
            Self::AtMost(bound) => measured <= bound,
            Self::AtLeast(bound) => measured >= bound,
            Self::Within(low, high) => low <= measured && measured <= high,
            Self::Any => !measured.is_nan(),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "<= {bound:?}"),
            Self::AtLeast(bound) => write!(f, ">= {bound:?}"),
            Self::Within(low, high) => write!(f, "{low:?} to {high:?}"),
            Self::Any => write!(f, "reported"),
        }
    }
}

/// One number and what it must be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was measured.
    pub quantity: String,
    /// What it must be.
    pub expected: Expected,
    /// What it is.
    pub measured: f64,
    /// Whether it is so.
    pub met: bool,
}

impl Check {
    fn new(quantity: impl Into<String>, expected: Expected, measured: f64) -> Self {
        Self {
            quantity: quantity.into(),
            expected,
            measured,
            met: expected.met(measured),
        }
    }
}

/// A statement and how it fared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Its number.
    pub number: u32,
    /// What it says.
    pub statement: &'static str,
    /// What must be met for it to hold.
    pub checks: Vec<Check>,
    /// What else the arithmetic predicts.
    pub predictions: Vec<Check>,
    /// Whether all checks are met.
    pub holds: bool,
}

impl Claim {
    fn new(number: u32, statement: &'static str, checks: Vec<Check>, predictions: Vec<Check>) -> Self {
        Self {
            number,
            statement,
            holds: checks.iter().all(|check| check.met),
            checks,
            predictions,
        }
    }
}

/// All claims, in order, from one seed.
///
/// # Errors
/// If a regression is degenerate or an eigenvalue problem does not converge.
pub fn claims(seed: u64) -> Result<Vec<Claim>> {
    type Of = fn(u64) -> Result<Claim>;
    let all: [Of; 7] = [
        flow::claim,
        algebra::claim,
        policy::claim,
        bernoulli::claim,
        slow_start::claim,
        optimizers::claim,
        cloud::claim,
    ];
    all.into_par_iter().map(|claim| claim(seed)).collect()
}

/// The random numbers of part `part` of a claim.
fn draws(seed: u64, claim: u32, part: u32) -> Draws {
    Draws::of(Stream::new(seed, Purpose::Theory).substream(1000 * claim + part))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// a + scale b
fn moved(a: &[f64], scale: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + scale * b).collect()
}

/// 1 - sum (measured - predicted)^2/sum (measured - mean)^2: of the prediction as it stands, nothing fitted.
fn explained(measured: &[f64], predicted: &[f64]) -> f64 {
    let centre = crate::analysis::series::mean(measured);
    let left: f64 = measured.iter().zip(predicted).map(|(m, p)| (m - p).powi(2)).sum();
    1.0 - left / measured.iter().map(|m| (m - centre).powi(2)).sum::<f64>()
}
