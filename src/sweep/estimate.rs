//! How long a pack will take, from a few steps of one of its runs.

use std::time::{Duration, Instant};

use rayon::ThreadPoolBuilder;

use super::pack::Pack;
use super::spec::SweepSpec;
use crate::backend::cpu_executor;
use crate::error::{Error, Result};
use crate::trainer::{Experiment, Trainer};

/// Steps that are tried, and for how long at most.
const STEPS: u64 = 50;
const LONGEST: Duration = Duration::from_secs(2);

/// Seconds that one thread takes for a step of one run, over the first 50 steps or two seconds. Measurements on a schedule
/// are dearer early on a logarithmic one, so this errs on the long side there.
///
/// # Errors
/// A device error.
pub fn seconds_per_step(spec: &SweepSpec, pack: &Pack) -> Result<f64> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|e| Error::device(format!("no thread to try a step on: {e}")))?;
    pool.install(|| {
        let run = &spec.runs[pack.runs[0] as usize];
        let experiment = Experiment::new(&run.config)?;
        let executor = cpu_executor(pack.program.plan.clone(), pack.precision)?;
        let mut trainer = Trainer::new(pack.program.clone(), executor, 1);
        trainer.fill(0, run.number, &experiment)?;
        let begin = Instant::now();
        let mut made = 0;
        while made < STEPS && begin.elapsed() < LONGEST {
            trainer.run_chunk(10)?;
            let step = trainer.status(0).map_or(0, |status| status.step);
            // The run may be shorter.
            if step == made {
                break;
            }
            made = step;
        }
        Ok(begin.elapsed().as_secs_f64() / made.max(1) as f64)
    })
}
