//! Memory and launches of the CPU executor.

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use super::lanes::Lanes;
use super::memory::{Memory, Shared};
use super::scalar::Scalar;
use crate::backend::profile::Span;
use crate::backend::{Executor, Precision, Values};
use crate::error::{Error, Result};
use crate::plan::{Arena, BufferId, Capabilities, Kernel, Launch, Plan, Segment, lower};

/// What the CPU executor can do: everything.
pub fn capabilities() -> Capabilities {
    Capabilities {
        backend: "cpu",
        f64: true,
        max_binding: usize::MAX,
        kernels: Kernel::ALL.to_vec(),
    }
}

/// Runs plans on the CPU.
#[derive(Debug)]
pub struct CpuExecutor<S> {
    plan: Arc<Plan>,
    launches: Vec<Launch>,
    arenas: Vec<Memory<S>>,
    runs: usize,
    lanes: Lanes,
    clock: Option<Clock>,
}

/// Times of launches, where they are wanted.
#[derive(Debug)]
struct Clock {
    began: Instant,
    spans: Vec<Span>,
}

impl<S: Scalar> CpuExecutor<S> {
    /// Memory and launches for `runs` runs of a plan; all memory is zero.
    ///
    /// # Errors
    /// As [`lower`].
    pub fn new(plan: Arc<Plan>, runs: usize) -> Result<Self> {
        let launches = lower(&plan, &capabilities())?;
        let arenas = Arena::ALL
            .iter()
            .map(|arena| Memory::new(arena.element(), plan.stride(*arena) * runs))
            .collect();
        let mut executor = Self {
            plan,
            launches,
            arenas,
            runs,
            lanes: Lanes::default(),
            clock: None,
        };
        let plan = executor.plan.clone();
        for slot in 0..runs {
            for (buffer, words) in &plan.tables {
                executor.upload(slot, *buffer, &Values::Words(words.clone()))?;
            }
        }
        Ok(executor)
    }

    /// The launches of one whole step.
    pub fn launches(&self) -> &[Launch] {
        &self.launches
    }

    fn range(&self, slot: usize, buffer: BufferId) -> (Arena, std::ops::Range<usize>) {
        let buffer = self.plan.buffer(buffer);
        let start = slot * self.plan.stride(buffer.arena) + buffer.offset;
        (buffer.arena, start..start + buffer.len())
    }

    /// The executor's parts, as threads that work on different slots share them.
    fn shared(&mut self) -> (Shared<'_, S>, &mut Lanes) {
        let shared = Shared::new(&self.plan, &self.launches, &mut self.arenas);
        (shared, &mut self.lanes)
    }
}

impl<S: Scalar> Executor for CpuExecutor<S> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        let (arena, range) = self.range(slot, buffer);
        let wrong = |found: usize| {
            let buffer = self.plan.buffer(buffer);
            Err(Error::shape(format!(
                "buffer {} has {} elements, {found} were given",
                buffer.name,
                buffer.len()
            )))
        };
        match (&mut self.arenas[arena.index()], values) {
            (Memory::Real(memory), Values::Numbers(numbers)) if numbers.len() == range.len() => {
                for (to, from) in memory[range].iter_mut().zip(numbers) {
                    *to = S::from_f64(*from);
                }
            }
            (Memory::Wide(memory), Values::Numbers(numbers)) if numbers.len() == range.len() => {
                memory[range].copy_from_slice(numbers);
            }
            (Memory::Word(memory), Values::Words(words)) if words.len() == range.len() => {
                memory[range].copy_from_slice(words);
            }
            (_, Values::Numbers(numbers)) => return wrong(numbers.len()),
            (_, Values::Words(words)) => return wrong(words.len()),
        }
        Ok(())
    }

    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        let (arena, range) = self.range(slot, buffer);
        Ok(match &self.arenas[arena.index()] {
            Memory::Real(memory) => Values::Numbers(memory[range].iter().map(|x| x.to_f64()).collect()),
            Memory::Wide(memory) => Values::Numbers(memory[range].to_vec()),
            Memory::Word(memory) => Values::Words(memory[range].to_vec()),
        })
    }

    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        for place in 0..self.launches.len() {
            let segment = self.launches[place].segment;
            if !segments.contains(&segment) {
                continue;
            }
            let runs = self.runs;
            let (shared, _) = self.shared();
            // SAFETY: no thread works on any slot here.
            let slots: Vec<usize> = (0..runs)
                .filter(|slot| unsafe { shared.is_due(*slot, segment) })
                .collect();
            let start = Instant::now();
            match slots[..] {
                [] => continue,
                // SAFETY: this is the only thread.
                [slot] => unsafe { shared.run(place, slot) },
                // SAFETY: each slot has one thread.
                _ => slots.par_iter().for_each(|slot| unsafe { shared.run(place, *slot) }),
            }
            if let Some(clock) = &mut self.clock {
                clock.spans.push(Span {
                    launch: place,
                    runs: slots.len(),
                    start: start.duration_since(clock.began).as_secs_f64(),
                    seconds: start.elapsed().as_secs_f64(),
                });
            }
        }
        Ok(())
    }

    fn submit_steps(&mut self, steps: &[Vec<Segment>]) -> Result<()> {
        // Launches are timed one by one, and a run alone has nobody to wait for.
        if self.runs == 1 || self.clock.is_some() {
            return steps.iter().try_for_each(|segments| self.submit(segments));
        }
        let runs = self.runs;
        let (shared, lanes) = self.shared();
        // SAFETY: no thread works on any slot yet.
        let active: Vec<usize> = (0..runs)
            .filter(|slot| unsafe { shared.is_due(*slot, Segment::Begin) })
            .collect();
        lanes.each(&active, |slot| {
            for segments in steps {
                for (place, launch) in shared.launches.iter().enumerate() {
                    // SAFETY: the lanes give each slot to one thread.
                    if segments.contains(&launch.segment) && unsafe { shared.is_due(slot, launch.segment) } {
                        // SAFETY: as above.
                        unsafe { shared.run(place, slot) };
                    }
                }
            }
        })
    }

    fn set_profiling(&mut self, on: bool) -> Result<()> {
        self.clock = on.then(|| Clock {
            began: Instant::now(),
            spans: Vec::new(),
        });
        Ok(())
    }

    fn spans(&mut self) -> Result<Vec<Span>> {
        Ok(self
            .clock
            .as_mut()
            .map_or_else(Vec::new, |clock| std::mem::take(&mut clock.spans)))
    }

    fn device(&self) -> String {
        format!("CPU, {} threads", rayon::current_num_threads())
    }

    fn precision(&self) -> Precision {
        S::PRECISION
    }
}
