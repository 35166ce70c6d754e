//! Steps of real plans, launch by launch.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Make, Work};
use crate::backend::cpu;
use crate::backend::profile::{Profile, Profiled};
use crate::config::Config;
use crate::error::Result;
use crate::plan::{Arena, Kernel, Launch, Plan, Segment, Site, lower};
use crate::trainer::{Experiment, Trainer};

/// A run whose launches are timed.
pub(super) struct Stepping {
    trainer: Trainer,
    profile: Arc<Mutex<Profile>>,
    pub launches: Vec<Launch>,
}

impl Stepping {
    /// A run of this configuration before its first step.
    pub fn new(make: Make, config: &Config) -> Result<Self> {
        let experiment = Experiment::new(config)?;
        let program = experiment.program()?;
        let executor = make(program.plan.clone(), 1)?;
        // Launches are the same for every backend.
        let launches = lower(&program.plan, &cpu::capabilities())?;
        let profile = Arc::new(Mutex::new(Profile::new(launches.clone(), executor.precision())));
        let executor = Profiled::new(executor, profile.clone())?;
        let mut trainer = Trainer::new(program, Box::new(executor), 1);
        trainer.fill(0, 0, &experiment)?;
        Ok(Self {
            trainer,
            profile,
            launches,
        })
    }

    /// One step, and what it took.
    pub fn step(&mut self) -> Result<Profile> {
        self.trainer.run_chunk(1)?;
        let empty = Profile::new(self.launches.clone(), self.trainer.precision());
        let mut profile = self.profile.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut profile, empty))
    }

    /// The work of the launches for which this holds, and how many they are.
    pub fn work(&self, holds: impl Fn(&Launch) -> bool) -> (Work, u64) {
        work(self.trainer.plan(), &self.launches, holds)
    }
}

/// The work of the launches for which this holds, and how many they are. Bytes or operations of several launches are
/// those of the ones that count them.
pub(super) fn work(plan: &Plan, launches: &[Launch], holds: impl Fn(&Launch) -> bool) -> (Work, u64) {
    let chosen: Vec<&Launch> = launches.iter().filter(|launch| holds(launch)).collect();
    let sum = |amounts: Vec<f64>| Some(amounts.iter().sum::<f64>()).filter(|sum| *sum > 0.0);
    let all = Work {
        bytes: sum(chosen.iter().filter_map(|launch| bytes(launch)).collect()),
        flops: sum(chosen.iter().map(|launch| flops(plan, launch)).collect()),
    };
    (all, chosen.len() as u64)
}

/// Bytes of a launch in f32. Kernels that walk over sites bind whole arenas, of which they read a part: not counted.
fn bytes(launch: &Launch) -> Option<f64> {
    let walks = launch.bindings.iter().any(|binding| binding.name == "sites");
    (!walks).then(|| launch.bytes(4) as f64)
}

/// Operations of a launch; those of kernels that walk over sites from their table.
fn flops(plan: &Plan, launch: &Launch) -> f64 {
    let n = launch.params.first().map_or(0.0, |n| f64::from(*n));
    let pairs = match launch.kernel {
        Kernel::SampleNorms => n,
        Kernel::GramTile | Kernel::GramStream => n * n / 2.0,
        _ => return launch.flops() as f64,
    };
    let at = |start: usize| {
        plan.tables.iter().find(|(buffer, _)| {
            let buffer = plan.buffer(*buffer);
            buffer.arena == Arena::Data && buffer.offset == start
        })
    };
    let table = launch.bindings.iter().find(|binding| binding.name == "sites");
    let table = table.and_then(|binding| at(binding.start));
    let per_pair: f64 = table.map_or(0.0, |(_, words)| {
        words
            .chunks_exact(Site::WORDS)
            .map(|site| {
                let [kind, t, d_in, d_out] = [site[0], site[1], site[2], site[3]].map(f64::from);
                let is_linear = kind < 2.0;
                match launch.kernel {
                    // t <= s only.
                    Kernel::SampleNorms if is_linear => t * (t + 1.0) * (d_in + d_out),
                    _ if is_linear => t * t * 2.0 * (d_in + d_out),
                    _ => t * 2.0 * d_out,
                }
            })
            .sum()
    });
    pairs * per_pair
}

/// The segments of a bare training step.
pub(super) const BARE: [Segment; 4] = [Segment::Begin, Segment::Step, Segment::Update, Segment::End];
