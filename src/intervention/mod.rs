//! Interventions: a new run that begins at a checkpoint of another, with something changed.
//!
//! [`branch`] reads a checkpoint with its state, lets an [`Arm`] change weights or moments, puts the state under the plan
//! of the branch's configuration, and writes a run directory that `gmatrix train --resume` goes on with. What an arm does
//! not name stays as it was: a branch with nothing changed goes on bit for bit like its parent, so branches of one
//! checkpoint are paired. `run.json` says where a branch came from ([`Lineage`]).
//!
//! What every arm does: `docs/interventions.md`.

mod ablate;
mod carry;
mod inject;
mod point;
mod select;
mod waves;
mod weights;

use std::path::{Path, PathBuf};

pub use crate::record::Lineage;
pub use ablate::{Ablation, By, Target};
pub use inject::{Control, Injection, Part};
pub use point::Point;
pub use select::Selection;
pub use weights::{Donor, ScaleTo};

use crate::backend::Make;
use crate::config::{Config, Layers, Regions};
use crate::error::{Error, Result};

/// The gradient's norm when it is off: no weight above 1e-15 feels it, whatever the rule.
const OFF: &str = "1e-30";

/// What is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Arm {
    /// Settings alone.
    Set,
    /// Weights of another network.
    Transplant {
        /// Whose.
        donor: Donor,
        /// Which.
        selection: Selection,
        /// What becomes of their moments.
        moments: Moments,
    },
    /// Neurons and Fourier components of another network.
    Inject(Injection),
    /// Frequencies, neurons, heads or tensors are taken out.
    Ablate(Ablation),
    /// The norm is held from here on at what it is.
    FreezeNorm(Regions),
    /// Gaussian noise is added to weights.
    Noise {
        /// Expected norm of a tensor's noise over the tensor's norm.
        scale: f64,
        /// Which.
        selection: Selection,
        /// Seed of the noise.
        seed: u64,
    },
    /// The gradient is off: updates by decay alone.
    DecayOnly,
    /// Weights are scaled.
    Scale {
        /// By how much.
        to: ScaleTo,
        /// Which.
        selection: Selection,
    },
    /// Weights go back to what they were at an earlier step of the run.
    Rewind {
        /// The step; 0 is the initial weights.
        step: u64,
        /// Which.
        selection: Selection,
        /// What becomes of their moments.
        moments: Moments,
    },
    /// Moments of the optimiser are set to zero.
    ResetMoments(Selection),
    /// Moments of the optimiser change places within each tensor, first and second alike.
    ShuffleMoments {
        /// Which.
        selection: Selection,
        /// Seed of the permutations.
        seed: u64,
    },
}

impl Arm {
    /// Its name, as on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Transplant { .. } => "transplant",
            Self::Inject(_) => "inject",
            Self::Ablate(_) => "ablate",
            Self::FreezeNorm(_) => "freeze-norm",
            Self::Noise { .. } => "noise",
            Self::DecayOnly => "decay-only",
            Self::Scale { .. } => "scale",
            Self::Rewind { .. } => "rewind",
            Self::ResetMoments(_) => "reset-moments",
            Self::ShuffleMoments { .. } => "shuffle-moments",
        }
    }

    /// Settings that it implies.
    fn settings(&self) -> Vec<String> {
        match self {
            Self::FreezeNorm(regions) => {
                let regions = match regions {
                    Regions::Tensor => "tensor",
                    Regions::Global | Regions::None => "global",
                };
                vec![
                    format!("optimizer.hold_norm={regions}"),
                    "optimizer.hold_factor=1.0".to_owned(),
                ]
            }
            Self::DecayOnly => vec![format!("optimizer.clip={OFF}")],
            _ => Vec::new(),
        }
    }
}

/// What becomes of the moments of weights that are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moments {
    /// They stay.
    #[default]
    Keep,
    /// They begin at zero.
    Zero,
    /// They come with the weights.
    Donor,
}

/// The same with the donor's moments at hand.
enum MomentsOf {
    Kept,
    Zero,
    Donor(Vec<f64>),
}

/// Where a branch begins, and what it is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// Run directory of the parent.
    pub from: &'a Path,
    /// Step of the checkpoint; the newest without.
    pub step: Option<u64>,
    /// New directory.
    pub out: &'a Path,
    /// `section.key=value`, over the parent's configuration.
    pub settings: &'a [String],
    /// What the caller was asked for, in words, for `run.json`.
    pub arguments: Vec<String>,
}

/// What an intervention did.
#[derive(Debug, Clone, PartialEq)]
pub struct Branched {
    /// Step of the checkpoint.
    pub step: u64,
    /// Weights that differ from the parent's.
    pub changed: usize,
    /// P.
    pub parameters: usize,
    /// |theta after - theta before|.
    pub distance: f64,
}

/// Makes a branch.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if the network lacks what the arm names, or a setting cannot be;
/// [`crate::ErrorKind::Io`] names the file at fault; or a device error.
pub fn branch(make: Make, arm: &Arm, request: &Request<'_>) -> Result<Branched> {
    let mut point = Point::read(request.from, request.step)?;
    let mut layers = Layers::from_config(point.config.clone());
    for setting in arm.settings().iter().chain(request.settings) {
        layers = layers.set(setting)?;
    }
    let config = layers.build()?;
    let before = point.weights.clone();
    apply(make, arm, &mut point)?;
    let lineage = Lineage {
        run: request.from.display().to_string(),
        step: point.step,
        arm: arm.name().to_owned(),
        arguments: request.arguments.clone(),
        weights_sha256: point.weights_sha256.clone(),
    };
    point.write(request.out, &config, matches!(arm, Arm::FreezeNorm(_)), lineage)?;
    let differences = before.iter().zip(&point.weights).map(|(a, b)| b - a);
    Ok(Branched {
        step: point.step,
        changed: differences.clone().filter(|d| *d != 0.0).count(),
        parameters: before.len(),
        distance: differences.map(|d| d * d).sum::<f64>().sqrt(),
    })
}

/// Makes the next stage of a run: a branch at its newest checkpoint, with the steps of its configuration counted from there.
///
/// # Errors
/// As [`branch`].
pub fn next_stage(before: &Path, out: &Path, mut config: Config) -> Result<()> {
    let point = Point::read(before, None)?;
    let begin = u32::try_from(point.step).unwrap_or(u32::MAX);
    config.train.steps = config.train.steps.saturating_add(begin);
    let lineage = Lineage {
        run: before.display().to_string(),
        step: point.step,
        arm: "stage".to_owned(),
        arguments: Vec::new(),
        weights_sha256: point.weights_sha256.clone(),
    };
    point.write(out, &config, false, lineage)
}

fn apply(make: Make, arm: &Arm, point: &mut Point) -> Result<()> {
    match arm {
        Arm::Set | Arm::FreezeNorm(_) => Ok(()),
        Arm::Transplant {
            donor,
            selection,
            moments,
        } => weights::transplant(point, donor, selection, *moments),
        Arm::Inject(injection) => inject::inject(make, point, injection),
        Arm::Ablate(ablation) => ablate::ablate(make, point, ablation),
        Arm::Noise { scale, selection, seed } => weights::noise(point, *scale, selection, *seed),
        Arm::DecayOnly => weights::reset_moments(point, &Selection::default()),
        Arm::Scale { to, selection } => weights::scale(point, to, selection),
        Arm::Rewind {
            step,
            selection,
            moments,
        } => weights::rewind(point, *step, selection, *moments),
        Arm::ResetMoments(selection) => weights::reset_moments(point, selection),
        Arm::ShuffleMoments { selection, seed } => weights::shuffle_moments(point, selection, *seed),
    }
}

/// A place in a list of layers: `layer:index`.
///
/// # Errors
/// [`crate::ErrorKind::Config`] if a text is not that.
pub fn layer_and_index(text: &str) -> Result<(usize, usize)> {
    let numbers = text.split_once(':').map(|(l, i)| (l.trim().parse(), i.trim().parse()));
    match numbers {
        Some((Ok(layer), Ok(index))) => Ok((layer, index)),
        _ => Err(Error::config(format!("{text:?}: expected layer:index, as 0:12"))),
    }
}

/// Weights of another network: where they are.
fn read_donor(donor: &Donor, point: &Point) -> Result<(PathBuf, Vec<f64>)> {
    let found = crate::comparison::Checkpoint::read(&donor.path, donor.step)?;
    let alike = found.shape.clone().with_attention_mix(0.0) == point.shape.clone().with_attention_mix(0.0);
    if !alike {
        return Err(Error::io(
            &found.file,
            "is of another network than the parent, expected the same shape",
        ));
    }
    Ok((found.file, found.weights))
}
