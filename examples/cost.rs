//! What a step costs, bare and with each group of columns, on the CPU.
//!
//! ```text
//! cargo run --release --example cost -- [PRESET [STEPS]]
//! ```
//!
//! An executor that wraps another submits a step's segments one by one and times each. Medians over the steps in which
//! a segment was due, so that a busy machine disturbs them little; `ms a step` spreads a segment over the steps between
//! two times it is due.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use gmatrix::Result;
use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::backend::{Executor, Precision, Values};
use gmatrix::config::Preset;
use gmatrix::plan::{BufferId, Plan, Segment};
use gmatrix::schedule::Cadence;
use gmatrix::trainer::{Experiment, Trainer};

type Seconds = Rc<RefCell<BTreeMap<Segment, Vec<f64>>>>;

/// Times what another executor does.
struct Timed {
    inner: CpuExecutor<f32>,
    seconds: Seconds,
}

impl Executor for Timed {
    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        for segment in segments {
            let begin = Instant::now();
            self.inner.submit(&[*segment])?;
            let mut seconds = self.seconds.borrow_mut();
            seconds.entry(*segment).or_default().push(begin.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn plan(&self) -> &Plan {
        self.inner.plan()
    }
    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        self.inner.upload(slot, buffer, values)
    }
    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        self.inner.download(slot, buffer)
    }
    fn device(&self) -> String {
        self.inner.device()
    }
    fn precision(&self) -> Precision {
        self.inner.precision()
    }
}

/// The groups of columns, with the segments that make them.
const GROUPS: [(&str, &[Segment]); 5] = [
    (
        "bare step",
        &[Segment::Begin, Segment::Step, Segment::Update, Segment::End],
    ),
    ("norms, coherence, noise", &[Segment::Scalars]),
    ("losses and accuracies of both splits", &[Segment::Evaluate]),
    ("Gram matrix, spectra, ranks", &[Segment::Gram]),
    ("ntcov, decomposition, ledger", &[Segment::Decompose, Segment::Measure]),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let preset: Preset = arguments.next().map_or(Ok(Preset::default()), |name| name.parse())?;
    let steps: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(500);

    let config = preset.config();
    let experiment = Experiment::new(&config)?;
    let program = experiment.program()?;
    let seconds = Seconds::default();
    let executor = Timed {
        inner: CpuExecutor::new(program.plan.clone(), 1)?,
        seconds: Rc::clone(&seconds),
    };
    println!("preset {preset}, {}", executor.device());
    let mut trainer = Trainer::new(program, Box::new(executor), 1);
    trainer.fill(0, 0, &experiment)?;
    let mut made = 0;
    while made < steps && trainer.status(0).is_some_and(|status| status.end.is_none()) {
        trainer.run_chunk(steps - made)?;
        made = trainer.status(0).map_or(steps, |status| status.step);
    }

    println!("{:<38} {:>10} {:>8} {:>10}", "", "ms", "every", "ms a step");
    let mut total = 0.0;
    for (name, segments) in GROUPS {
        let ms: f64 = segments.iter().map(|s| 1e3 * median(&seconds.borrow(), *s)).sum();
        let every = match segments[0] {
            Segment::Scalars => config.stats.scalars_every,
            Segment::Evaluate => config.stats.evaluate_every,
            Segment::Gram => config.stats.gram_every,
            Segment::Decompose => config.stats.decompose_every,
            _ => 1.into(),
        };
        let Cadence::Every(every) = every else {
            unreachable!("presets measure at multiples")
        };
        let spread = if every == 0 { 0.0 } else { ms / f64::from(every) };
        total += spread;
        println!("{name:<38} {ms:>10.2} {every:>8} {spread:>10.2}");
    }
    println!("{:<38} {:>10} {:>8} {total:>10.2}", "all on this schedule", "", "");
    Ok(())
}

fn median(seconds: &BTreeMap<Segment, Vec<f64>>, segment: Segment) -> f64 {
    let mut all = seconds.get(&segment).cloned().unwrap_or_default();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}
