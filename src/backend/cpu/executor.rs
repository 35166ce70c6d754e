//! Memory and launches of the CPU executor.

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use super::args::{Args, Slot};
use super::kernels;
use super::scalar::Scalar;
use crate::backend::profile::Span;
use crate::backend::{Executor, Precision, Values};
use crate::error::{Error, Result};
use crate::plan::{Arena, BufferId, Capabilities, Element, Kernel, Launch, Plan, Segment, control, lower};

/// What the CPU executor can do: everything.
pub fn capabilities() -> Capabilities {
    Capabilities {
        backend: "cpu",
        f64: true,
        max_binding: usize::MAX,
        kernels: Kernel::ALL.to_vec(),
    }
}

/// Memory of one arena for all slots, in units that suit its elements.
#[derive(Debug)]
enum Memory<S> {
    Real(Vec<S>),
    Wide(Vec<f64>),
    Word(Vec<u32>),
}

impl<S: Scalar> Memory<S> {
    fn new(element: Element, len: usize) -> Self {
        match element {
            Element::Real => Self::Real(vec![S::ZERO; len]),
            Element::Wide => Self::Wide(vec![0.0; len]),
            Element::Word => Self::Word(vec![0; len]),
        }
    }

    fn base(&mut self) -> Base {
        match self {
            Self::Real(v) => Base(v.as_mut_ptr().cast(), size_of::<S>()),
            Self::Wide(v) => Base(v.as_mut_ptr().cast(), size_of::<f64>()),
            Self::Word(v) => Base(v.as_mut_ptr().cast(), size_of::<u32>()),
        }
    }
}

/// Start of an arena and the bytes of one element.
#[derive(Clone, Copy)]
struct Base(*mut u8, usize);

// SAFETY: a Base is only an address; `CpuExecutor::launch` keeps what is reached through it disjoint between threads.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

/// Runs plans on the CPU.
#[derive(Debug)]
pub struct CpuExecutor<S> {
    plan: Arc<Plan>,
    launches: Vec<Launch>,
    arenas: Vec<Memory<S>>,
    runs: usize,
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

    fn control(&self, slot: usize) -> &[u32] {
        let stride = self.plan.stride(Arena::Control);
        match &self.arenas[Arena::Control.index()] {
            Memory::Word(words) => &words[slot * stride..(slot + 1) * stride],
            _ => unreachable!("control blocks are words"),
        }
    }

    /// Slots that take part in a launch of this segment.
    fn due(&self, segment: Segment) -> Vec<usize> {
        (0..self.runs)
            .filter(|slot| {
                let block = self.control(*slot);
                match segment {
                    Segment::Begin => block.get(control::ACTIVE).is_none_or(|active| *active != 0),
                    _ => block.get(control::due(segment)).is_none_or(|due| *due != 0),
                }
            })
            .collect()
    }

    fn launch(&mut self, place: usize, slots: &[usize]) {
        let bases: Vec<Base> = self.arenas.iter_mut().map(Memory::base).collect();
        let plan = &self.plan;
        let launch = &self.launches[place];
        let control_stride = plan.stride(Arena::Control);
        let run = |slot: usize| {
            let arguments = launch
                .bindings
                .iter()
                .map(|binding| {
                    let Base(pointer, size) = bases[binding.arena.index()];
                    let first = slot * plan.stride(binding.arena) + binding.start;
                    // SAFETY: `Plan` keeps every binding within its slot's share of the arena, which holds
                    // `stride * runs` initialised elements of its type and lives as long as `self`. Slots are
                    // distinct, so shares of different threads are disjoint; `PlanBuilder::finish` has checked that
                    // within one call nothing that is written overlaps another binding.
                    unsafe {
                        Slot::new(
                            binding.name,
                            binding.arena.element(),
                            binding.access,
                            pointer.add(first * size),
                            binding.len,
                        )
                    }
                })
                .collect();
            let binds_control = launch.bindings.iter().any(|b| b.arena == Arena::Control);
            let Base(pointer, size) = bases[Arena::Control.index()];
            let block: &[u32] = if binds_control {
                &[]
            } else {
                // SAFETY: as above; this launch writes no control block.
                unsafe { std::slice::from_raw_parts(pointer.add(slot * control_stride * size).cast(), control_stride) }
            };
            // SAFETY: real arenas of this executor hold numbers of type S.
            let args = unsafe {
                Args::<S>::new(
                    arguments,
                    &launch.params,
                    &launch.spec,
                    launch.kernel.contract().constants,
                    block,
                )
            };
            kernels::run(launch.kernel, &args);
        };
        match slots {
            [slot] => run(*slot),
            _ => slots.par_iter().for_each(|slot| run(*slot)),
        }
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
            let slots = self.due(segment);
            if slots.is_empty() {
                continue;
            }
            let start = Instant::now();
            self.launch(place, &slots);
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
