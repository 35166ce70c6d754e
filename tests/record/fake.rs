//! A run that needs no network: a deterministic, chaotic sequence of numbers.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use gmatrix::config::{Config, TrainConfig};
use gmatrix::record::{
    Chunk, EndReason, Ended, MetricsRow, NamedTensor, Resumed, Run, RunDirectory, RunInfo, TensorSet, record,
};
use gmatrix::{Error, Result};

pub struct FakeRun {
    columns: Vec<String>,
    step: u64,
    values: [f64; 4],
    /// The device is lost before this step.
    pub lost_at: u64,
    /// Ends here as if grokked.
    pub groks_at: u64,
    /// Time a chunk takes.
    pub pause: Duration,
}

impl FakeRun {
    pub fn new() -> Self {
        Self::with_columns(&["train_loss", "sparse", "raw.rank"])
    }

    pub fn with_columns(names: &[&str]) -> Self {
        Self {
            columns: names.iter().map(|name| (*name).to_owned()).collect(),
            step: 0,
            values: [0.1, 0.2, 0.3, 0.4],
            lost_at: u64::MAX,
            groks_at: u64::MAX,
            pause: Duration::ZERO,
        }
    }

    fn one_step(&mut self) -> MetricsRow {
        for (k, x) in self.values.iter_mut().enumerate() {
            *x = (3.7 + 0.05 * k as f64) * *x * (1.0 - *x);
        }
        let sparse = if self.step.is_multiple_of(7) {
            self.values[1]
        } else {
            f64::NAN
        };
        let row = MetricsRow {
            run: 0,
            step: self.step,
            values: vec![self.values[0], sparse, self.values[2]],
        };
        self.step += 1;
        row
    }
}

impl Run for FakeRun {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn step(&self) -> u64 {
        self.step
    }

    fn run_chunk(&mut self, limit: u64, _: u64) -> Result<Chunk> {
        thread::sleep(self.pause);
        let mut chunk = Chunk::default();
        while self.step < limit && self.step < self.groks_at {
            if self.step >= self.lost_at {
                return Err(Error::device("the device is lost"));
            }
            chunk.rows.push(self.one_step());
        }
        if self.step >= self.groks_at {
            let step = self.step;
            chunk.ended = Some(Ended {
                reason: EndReason::Grokked,
                step,
            });
        }
        Ok(chunk)
    }

    fn weights(&mut self) -> Result<TensorSet> {
        Ok(TensorSet {
            tensors: vec![NamedTensor::new("layers.0.W", &[2, 2], &self.values.map(|x| x as f32))],
            metadata: [("config".to_owned(), "{}".to_owned())].into(),
        })
    }

    fn state(&mut self) -> Result<TensorSet> {
        let tensors = vec![
            NamedTensor::new("values", &[4], &self.values),
            NamedTensor::new("step", &[], &[self.step]),
        ];
        Ok(TensorSet {
            tensors,
            ..TensorSet::default()
        })
    }

    fn restore(&mut self, state: &TensorSet) -> Result<()> {
        self.values.copy_from_slice(&state.get("values")?.elements::<f64>()?);
        self.step = state.get("step")?.elements::<u64>()?[0];
        Ok(())
    }

    fn describe(&self, info: &mut RunInfo) {
        info.backend = "fake".to_owned();
        info.parameters = 4;
    }
}

/// A checkpoint every 10 steps, so that runs of some hundreds of steps have many.
pub fn config(steps: u32) -> Config {
    Config {
        train: TrainConfig {
            steps,
            checkpoint_every: 10,
            chunk: 4,
            ..TrainConfig::default()
        },
        ..Config::default()
    }
}

/// Starts a run in `dir`, or goes on with the one that is there.
pub fn start_or_resume(dir: &Path, run: &mut FakeRun, steps: u32) -> Result<RunInfo> {
    let interrupted = AtomicBool::new(false);
    let (directory, config, info) = if dir.join("config.toml").exists() {
        match RunDirectory::resume(dir)? {
            Resumed::Finished(info) => return Ok(*info),
            Resumed::Unfinished(found) => {
                if let Some(checkpoint) = &found.checkpoint {
                    run.restore(&checkpoint.state)?;
                }
                (found.directory, found.config, found.info)
            }
        }
    } else {
        let config = config(steps);
        (RunDirectory::create(dir, &config)?, config, RunInfo::default())
    };
    record(run, &directory, &config.train, info, &mut (), &interrupted)
}

/// All that a run left that does not depend on the time: rows bit by bit, and the files of the last checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    keys: Vec<(u32, u64)>,
    bits: Vec<Vec<u64>>,
    checkpoints: Vec<(String, Vec<u8>)>,
}

pub fn outcome(dir: &Path) -> Outcome {
    let table = gmatrix::record::read_metrics(dir).unwrap();
    let mut checkpoints: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    for (name, _) in &mut checkpoints {
        *name = name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    checkpoints.sort();
    Outcome {
        keys: table.runs.iter().copied().zip(table.steps.iter().copied()).collect(),
        bits: table
            .columns
            .values()
            .map(|c| c.iter().map(|v| v.to_bits()).collect())
            .collect(),
        checkpoints,
    }
}

/// What an undisturbed run of so many steps leaves.
pub fn undisturbed(steps: u32) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    start_or_resume(&path, &mut FakeRun::new(), steps).unwrap();
    outcome(&path)
}
