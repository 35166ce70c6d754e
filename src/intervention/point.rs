//! A checkpoint in hand: read from a run, altered, and written as the beginning of another.

use std::fs;
use std::path::{Path, PathBuf};

use super::carry::{carry, numbers, squares};
use super::{Lineage, MomentsOf};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::weights::{WeightType, shape_metadata, to_tensors};
use crate::model::{Layout, ModelShape};
use crate::record::{Dtype, NamedTensor, RunDirectory, RunInfo, TensorSet, read_run_info, read_state};
use crate::sha256::sha256;
use crate::trainer::Experiment;

pub(super) const PARAMETERS: &str = "parameters";
pub(super) const MOMENTS: &str = "moments";
pub(super) const CONTROL: &str = "control";
pub(super) const HELD: &str = "held_square";

/// Rows of the moments.
pub(super) const PREVIOUS_GRADIENT: usize = 2;

/// A checkpoint with its configuration.
#[derive(Debug, Clone)]
pub struct Point {
    /// The run directory it came from.
    pub run: PathBuf,
    /// Updates made.
    pub step: u64,
    /// The configuration.
    pub config: Config,
    /// Shape of the network.
    pub shape: ModelShape,
    /// Where every parameter lies.
    pub layout: Layout,
    /// SHA-256 of the weights file it came from.
    pub weights_sha256: String,
    /// The weights, in the order of the layout.
    pub weights: Vec<f64>,
    /// `[rows, P]`: m, v, the previous gradient, and decay's own share of m where the rule remembers decay.
    pub moments: Vec<f64>,
    info: RunInfo,
    state: TensorSet,
}

impl Point {
    /// Reads the checkpoint of a run at a step, or its newest.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] names what is missing or damaged.
    pub fn read(run: &Path, step: Option<u64>) -> Result<Self> {
        let (step, file, state) = read_state(run, step)?;
        let config = Config::from_file(&run.join("config.toml"))?;
        let shape = Experiment::new(&config)?.shape;
        let bytes = fs::read(&file).map_err(|e| Error::io(&file, e))?;
        let weights = numbers(state.get(PARAMETERS)?)?;
        if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
            return Err(Error::io(
                &file,
                format!("weight {i} is {}, expected a finite number", weights[i]),
            ));
        }
        Ok(Self {
            run: run.to_path_buf(),
            step,
            layout: Layout::new(&shape),
            weights_sha256: sha256(&bytes),
            weights,
            moments: numbers(state.get(MOMENTS)?)?,
            info: read_run_info(run)?,
            config,
            shape,
            state,
        })
    }

    /// Where the run itself branched off, if it did.
    pub(super) fn info_parent(&self) -> Option<&Lineage> {
        self.info.parent.as_ref()
    }

    /// Replaces weights, and does with their moments what is asked.
    pub(super) fn replace(&mut self, places: &[usize], values: &[f64], moments: &MomentsOf) {
        for (at, value) in places.iter().zip(values) {
            self.weights[*at] = *value;
        }
        let len = self.layout.len;
        for row in (0..self.moments.len() / len).filter(|row| *row != PREVIOUS_GRADIENT) {
            for at in places {
                let place = row * len + at;
                match moments {
                    MomentsOf::Kept => {}
                    MomentsOf::Zero => self.moments[place] = 0.0,
                    // Both run the same rule, or the donor was refused.
                    MomentsOf::Donor(donor) => self.moments[place] = donor[place],
                }
            }
        }
    }

    /// Writes a new run directory that begins here, with another configuration.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] if it cannot begin here; [`crate::ErrorKind::Io`] if it cannot be written.
    pub(super) fn write(&self, out: &Path, config: &Config, hold_anew: bool, lineage: Lineage) -> Result<()> {
        let experiment = Experiment::new(config)?;
        let mut state = self.state.clone();
        let mut put = |name: &str, values: &[f64]| {
            for tensor in state.tensors.iter_mut().filter(|tensor| tensor.name == name) {
                *tensor = of_type(tensor, values);
            }
        };
        put(PARAMETERS, &self.weights);
        put(MOMENTS, &self.moments);
        let mut state = carry(&state, &self.config, &experiment)?;
        if hold_anew {
            let norms = squares(&self.layout, &self.weights, config.optimizer.hold_norm);
            for tensor in state.tensors.iter_mut().filter(|tensor| tensor.name == HELD) {
                *tensor = of_type(tensor, &norms);
            }
        }
        let dtype = match self.state.get(PARAMETERS)?.dtype {
            Dtype::F64 => WeightType::F64,
            _ => WeightType::F32,
        };
        let shape = self
            .shape
            .clone()
            .with_attention_mix(config.model.attention_mix.at(self.step));
        let weights = TensorSet {
            tensors: to_tensors(&shape, &self.weights, dtype)?,
            metadata: shape_metadata(&shape),
        };
        let parent = &self.info;
        let info = RunInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: parent.backend.clone(),
            device: parent.device.clone(),
            driver: parent.driver.clone(),
            precision: parent.precision.clone(),
            seed: config.task.seed,
            parameters: parent.parameters,
            samples: experiment.task.train.n as u64,
            step: self.step,
            parent: Some(lineage),
            ..RunInfo::default()
        };
        RunDirectory::create_at(out, config, (&weights, &state), &info)
    }
}

/// These values as a tensor like another.
fn of_type(like: &NamedTensor, values: &[f64]) -> NamedTensor {
    match like.dtype {
        Dtype::F32 => {
            let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
            NamedTensor::new(like.name.clone(), &like.shape, &values)
        }
        _ => NamedTensor::new(like.name.clone(), &like.shape, values),
    }
}
