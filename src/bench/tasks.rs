//! Whole tasks, as a user would count them.

use std::time::Instant;

use super::stepping::{BARE, Stepping, work};
use super::{Make, Rates, Row, Watch, Work};
use crate::backend::cpu;
use crate::config::{Config, Preset, Samples, Spectrum, Stop};
use crate::error::Result;
use crate::plan::{Segment, lower};
use crate::trainer::{Experiment, Trainer};

/// Properties between which ntcov is taken.
const PROPERTIES: [&str; 5] = [
    "train_loss",
    "test_loss",
    "half_norm2",
    "log_odds:test:0",
    "logit:test:0:0",
];

/// Steps between two looks at runs that are trained.
const CHUNK: u64 = 4;

/// Something a user waits for.
pub(super) struct Task {
    pub name: String,
    kind: Kind,
}

enum Kind {
    /// Bare training steps of so many runs of a preset, side by side: seconds of one step of all, by the clock on the wall.
    Steps(Preset, usize),
    /// Segments of preset nanda with one group of statistics: seconds of their launches.
    Segments(Box<Config>, &'static [Segment]),
}

/// All tasks.
pub(super) fn all(quick: bool) -> Vec<Task> {
    let mut tasks = vec![Task::new("step/nanda", Kind::Steps(Preset::Nanda, 1))];
    let gram = |what: &str, n: usize, spectrum: Spectrum| {
        let mut config = bare(Preset::Nanda);
        config.stats.gram_every = 1.into();
        config.stats.samples = Samples::Count(n);
        config.stats.spectrum = spectrum;
        Task::new(
            format!("{what}/{n}"),
            Kind::Segments(Box::new(config), &[Segment::Gram]),
        )
    };
    let (sizes, spectra): (&[usize], &[usize]) = if quick {
        (&[512, 1024], &[512])
    } else {
        (&[512, 1024, 3830], &[512, 1024])
    };
    tasks.extend(sizes.iter().map(|n| gram("gram", *n, Spectrum::Off)));
    tasks.extend(spectra.iter().map(|n| gram("spectrum", *n, Spectrum::Exact)));
    let mut config = bare(Preset::Nanda);
    config.stats.decompose_every = 1.into();
    config.stats.properties = PROPERTIES.map(str::to_owned).to_vec();
    tasks.push(Task::new(
        format!("ntcov/{}", PROPERTIES.len()),
        Kind::Segments(Box::new(config), &[Segment::Decompose, Segment::Measure]),
    ));
    tasks.extend([1, 8, 32].map(|runs| Task::new(format!("runs/{runs}"), Kind::Steps(Preset::Quick, runs))));
    tasks
}

/// A preset that trains and measures nothing, without an end.
fn bare(preset: Preset) -> Config {
    let mut config = preset.config();
    let stats = &mut config.stats;
    for every in [
        &mut stats.scalars_every,
        &mut stats.evaluate_every,
        &mut stats.gram_every,
        &mut stats.decompose_every,
    ] {
        *every = 0.into();
    }
    config.train.stop = Stop::Never;
    config
}

impl Task {
    fn new(name: impl AsRef<str>, kind: Kind) -> Self {
        Self {
            name: format!("task/{}", name.as_ref()),
            kind,
        }
    }

    /// Its row.
    pub fn measure(&self, make: Make, watch: &Watch, rates: &Rates) -> Result<Row> {
        match &self.kind {
            Kind::Steps(preset, runs) => self.steps(make, watch, rates, (*preset, *runs)),
            Kind::Segments(config, segments) => {
                let mut steps = Stepping::new(make, config)?;
                let seconds = watch.sample(|| Ok(steps.step()?.seconds_of(segments)))?;
                let (work, calls) = steps.work(|launch| segments.contains(&launch.segment));
                Ok(Row::new(self.name.clone(), calls, seconds, work, rates))
            }
        }
    }

    fn steps(&self, make: Make, watch: &Watch, rates: &Rates, (preset, runs): (Preset, usize)) -> Result<Row> {
        let config = bare(preset);
        let experiment = Experiment::new(&config)?;
        let program = experiment.program()?;
        let launches = lower(&program.plan, &cpu::capabilities())?;
        let (one, calls) = work(&program.plan, &launches, |launch| BARE.contains(&launch.segment));
        let executor = make(program.plan.clone(), runs)?;
        let mut trainer = Trainer::new(program, executor, runs);
        for slot in 0..runs {
            let mut own = experiment.clone();
            own.config.task.seed = slot as u64;
            trainer.fill(slot, slot as u32, &own)?;
        }
        let seconds = watch.sample(|| {
            let start = Instant::now();
            trainer.run_chunk(CHUNK)?;
            Ok(start.elapsed().as_secs_f64() / CHUNK as f64)
        })?;
        let all = Work {
            bytes: one.bytes.map(|bytes| bytes * runs as f64),
            flops: one.flops.map(|flops| flops * runs as f64),
        };
        Ok(Row::new(self.name.clone(), calls, seconds, all, rates))
    }
}
