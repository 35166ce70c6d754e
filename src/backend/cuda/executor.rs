//! Memory and launches of the CUDA executor.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::Clock;
use super::device::{DeviceSummary, Gpu, Key};
use super::driver::{Graph, Memory, Module, Stream, failed};
use super::manifest::{self, capabilities};
use super::readback::{Landings, Piece};
use super::{arguments, grid};
use crate::backend::profile::Span;
use crate::backend::{Executor, Pending, Precision, Values};
use crate::error::{Error, Result};
use crate::plan::{Arena, Buffer, BufferId, Element, Plan, Segment, lower};

/// How launches reach the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Launching {
    /// Each list of segments is captured once as a graph, and replayed.
    #[default]
    Graphs,
    /// One by one.
    Single,
    /// One by one, each waited for, so that an error names its kernel.
    Waiting,
}

/// The variable of the environment that chooses.
const VARIABLE: &str = "GMATRIX_CUDA_LAUNCH";

impl Launching {
    /// What `GMATRIX_CUDA_LAUNCH` says: `graphs` (also if it is not set), `single` or `waiting`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Config`] for any other value.
    pub fn of_environment() -> Result<Self> {
        match std::env::var_os(VARIABLE).as_ref().map(|value| value.to_string_lossy()) {
            None => Ok(Self::Graphs),
            Some(value) => match &*value {
                "graphs" => Ok(Self::Graphs),
                "single" => Ok(Self::Single),
                "waiting" => Ok(Self::Waiting),
                other => Err(Error::config(format!(
                    "{VARIABLE}={other}: expected graphs, single or waiting"
                ))),
            },
        }
    }
}

/// A launch with everything bound.
#[derive(Debug)]
struct Ready {
    /// Its place among all launches of the plan.
    place: usize,
    segment: Segment,
    /// What it is, for errors.
    title: String,
    module: Arc<Module>,
    threads: u32,
    grid: [u32; 3],
    /// `struct Launch` of the kernel's source, aligned as the addresses in it.
    argument: Vec<u64>,
}

impl Ready {
    fn launch(&self, stream: &Stream) -> Result<()> {
        // SAFETY: `arguments` makes the struct of the kernel's source; it points into the arenas, where the plan has room
        // for every binding of every run, and which the executor keeps until the stream is done.
        unsafe { self.module.launch(self.grid, self.threads, &self.argument, stream) }
            .map_err(|e| failed(&self.title, e))
    }
}

/// Runs plans on the first CUDA device that can be used.
#[derive(Debug)]
pub struct CudaExecutor {
    plan: Arc<Plan>,
    runs: usize,
    precision: Precision,
    launching: Launching,
    /// By the segments in them, as bits; none for segments without launches.
    graphs: BTreeMap<u32, Option<Graph>>,
    /// Segments submitted since the device was last waited for, as bits.
    submitted: u32,
    launches: Vec<Ready>,
    clock: Option<Clock>,
    landings: Landings,
    arenas: Vec<Memory>,
    stream: Stream,
    gpu: Arc<Gpu>,
}

impl CudaExecutor {
    /// Memory and launches for `runs` runs of a plan; all memory is zero.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`] without a device, and for grids larger than CUDA's; `Compile` with the
    /// kernel's name and the compiler's log; `Device` if the memory does not suffice, or a call fails.
    pub fn new(plan: Arc<Plan>, runs: usize, precision: Precision) -> Result<Self> {
        Self::launching(plan, runs, precision, Launching::of_environment()?)
    }

    /// The same, with launches made in this way.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn launching(plan: Arc<Plan>, runs: usize, precision: Precision, launching: Launching) -> Result<Self> {
        let gpu = Gpu::shared()?;
        let lowered = lower(&plan, &capabilities())?;
        let mut needed = Vec::new();
        for (place, launch) in lowered.iter().enumerate() {
            if let Some(grid) = grid(launch, runs)? {
                needed.push((place, launch, grid));
            }
        }
        let keys: Vec<Key> = needed
            .iter()
            .map(|(_, launch, _)| (launch.kernel, launch.spec.clone(), precision))
            .collect();
        let modules = gpu.modules(&keys)?;
        let stream = Stream::new(&gpu.context)?;
        let arenas = allocate(&gpu, &plan, runs, precision)?;
        for arena in &arenas {
            arena.zero(&stream)?;
        }
        let launches = needed.iter().zip(modules).map(|((place, launch, grid), module)| {
            let address = |arena: Arena| arenas[arena.index()].address();
            let argument = arguments(launch, &plan, precision, address);
            let source = manifest::find(launch.kernel).expect("lowering has checked that the kernel is there");
            Ready {
                place: *place,
                segment: launch.segment,
                title: format!("{}: kernel {} {:?}", launch.label, launch.kernel.name(), launch.spec),
                module,
                threads: source.threads,
                grid: *grid,
                argument: bytemuck::pod_collect_to_vec(&argument),
            }
        });
        let mut executor = Self {
            launches: launches.collect(),
            plan: plan.clone(),
            runs,
            precision,
            launching,
            graphs: BTreeMap::new(),
            submitted: 0,
            clock: None,
            landings: Landings::default(),
            arenas,
            stream,
            gpu,
        };
        for slot in 0..runs {
            for (buffer, words) in &plan.tables {
                executor.upload(slot, *buffer, &Values::Words(words.clone()))?;
            }
        }
        executor.finish()?;
        Ok(executor)
    }

    /// The device it runs on.
    pub fn summary(&self) -> &DeviceSummary {
        &self.gpu.summary
    }

    /// A slot's share of a buffer, and where it begins in its arena, in bytes.
    fn place(&self, slot: usize, buffer: BufferId) -> Result<(&Buffer, usize)> {
        let buffer = self.plan.buffer(buffer);
        if slot >= self.runs {
            return Err(Error::shape(format!(
                "buffer {}: slot {slot} of {} was asked for",
                buffer.name, self.runs
            )));
        }
        let first = slot * self.plan.stride(buffer.arena) + buffer.offset;
        Ok((buffer, first * bytes(buffer.arena.element(), self.precision)))
    }

    /// What was submitted since the device was last waited for, for errors that come late.
    fn what(&self) -> String {
        work_of(self.submitted, self.launching)
    }

    /// Waits for all that was submitted.
    fn finish(&mut self) -> Result<()> {
        self.stream.synchronize().map_err(|e| failed(&self.what(), e))?;
        self.submitted = 0;
        Ok(())
    }

    /// Launches of these segments, as bits.
    fn of(&self, segments: u32) -> impl Iterator<Item = &Ready> {
        let wanted = move |launch: &&Ready| segments >> launch.segment.index() & 1 == 1;
        self.launches.iter().filter(wanted)
    }

    fn run(&mut self, segments: u32) -> Result<()> {
        self.submitted |= segments;
        match self.launching {
            Launching::Graphs => self.replay(segments),
            Launching::Single => self.of(segments).try_for_each(|launch| launch.launch(&self.stream)),
            Launching::Waiting => self.of(segments).try_for_each(|launch| {
                launch.launch(&self.stream)?;
                self.stream.synchronize().map_err(|e| failed(&launch.title, e))
            }),
        }
    }

    /// Launches the graph of these segments, which is captured when they come together for the first time.
    fn replay(&mut self, segments: u32) -> Result<()> {
        if !self.graphs.contains_key(&segments) {
            let graph = if self.of(segments).next().is_none() {
                None
            } else {
                let capture = || self.of(segments).try_for_each(|launch| launch.launch(&self.stream));
                Some(self.stream.capture(&names(segments), capture)?)
            };
            self.graphs.insert(segments, graph);
        }
        let Some(graph) = &self.graphs[&segments] else {
            return Ok(());
        };
        // SAFETY: as for single launches, of which the graph is made.
        unsafe { graph.launch(&self.stream) }.map_err(|e| failed(&names(segments), e))
    }

    /// Runs segments with an event on both sides of each launch, and reads the times.
    fn run_timed(&mut self, segments: u32, clock: &mut Clock) -> Result<()> {
        self.submitted |= segments;
        let launches: Vec<&Ready> = self.of(segments).collect();
        clock.begin(launches.len(), &self.gpu.context, &self.stream)?;
        for (k, launch) in launches.iter().enumerate() {
            clock.mark(k, 0, &self.stream)?;
            launch.launch(&self.stream)?;
            clock.mark(k, 1, &self.stream)?;
        }
        let places: Vec<usize> = launches.iter().map(|launch| launch.place).collect();
        self.finish()?;
        clock.end(&places, self.runs)
    }
}

impl Executor for CudaExecutor {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        let (target, first) = self.place(slot, buffer)?;
        let element = target.arena.element();
        let single = bytes(element, self.precision) == 4;
        let (len, contents): (usize, Vec<u8>) = match values {
            Values::Words(words) => (words.len(), bytemuck::cast_slice(words).to_vec()),
            Values::Numbers(numbers) if single => {
                let numbers: Vec<f32> = numbers.iter().map(|x| *x as f32).collect();
                (numbers.len(), bytemuck::cast_slice(&numbers).to_vec())
            }
            Values::Numbers(numbers) => (numbers.len(), bytemuck::cast_slice(numbers).to_vec()),
        };
        if len != target.len() || matches!(values, Values::Words(_)) != (element == Element::Word) {
            return Err(Error::shape(format!(
                "buffer {} has {} elements, {len} were given",
                target.name,
                target.len()
            )));
        }
        if contents.is_empty() {
            return Ok(());
        }
        self.gpu.context.bind()?;
        let what = format!("writing buffer {}", target.name);
        self.arenas[target.arena.index()].write(first, &contents, &self.stream, &what)
    }

    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        let mut values = self.request(&[(slot, buffer)])?()?;
        self.submitted = 0;
        Ok(values.pop().expect("one for the one asked for"))
    }

    fn request(&mut self, shares: &[(usize, BufferId)]) -> Result<Pending> {
        self.gpu.context.bind()?;
        let mut pieces = Vec::with_capacity(shares.len());
        let mut elements = Vec::with_capacity(shares.len());
        for (slot, buffer) in shares {
            let (buffer, first) = self.place(*slot, *buffer)?;
            let element = buffer.arena.element();
            pieces.push(Piece {
                memory: &self.arenas[buffer.arena.index()],
                first,
                bytes: buffer.len() * bytes(element, self.precision),
            });
            elements.push(element);
        }
        let (copy, places) = self
            .landings
            .copy(&self.gpu.context, &self.stream, &self.what(), &pieces)?;
        let ranges: Vec<_> = places
            .iter()
            .zip(&pieces)
            .map(|(at, piece)| *at..*at + piece.bytes)
            .collect();
        let precision = self.precision;
        Ok(Box::new(move || {
            copy.wait(|contents| {
                let shares = ranges.into_iter().zip(&elements);
                shares
                    .map(|(range, element)| values(*element, precision, &contents[range]))
                    .collect()
            })
        }))
    }

    fn is_asynchronous(&self) -> bool {
        true
    }

    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        self.submit_steps(&[segments.to_vec()])
    }

    fn submit_steps(&mut self, steps: &[Vec<Segment>]) -> Result<()> {
        self.gpu.context.bind()?;
        let mut steps = steps.iter().map(|segments| bits(segments));
        match self.clock.take() {
            None => steps.try_for_each(|segments| self.run(segments)),
            Some(mut clock) => {
                let timed = steps.try_for_each(|segments| self.run_timed(segments, &mut clock));
                self.clock = Some(clock);
                timed
            }
        }
    }

    fn set_profiling(&mut self, on: bool) -> Result<()> {
        self.gpu.context.bind()?;
        self.clock = if on { Some(Clock::new(&self.gpu.context)?) } else { None };
        Ok(())
    }

    fn spans(&mut self) -> Result<Vec<Span>> {
        let clock = self.clock.as_mut();
        Ok(clock.map_or_else(Vec::new, |clock| std::mem::take(&mut clock.spans)))
    }

    fn device(&self) -> String {
        let DeviceSummary {
            name,
            capability: (major, minor),
            driver,
            ..
        } = &self.gpu.summary;
        format!("{name}, sm_{major}{minor}, CUDA {}.{}", driver.0, driver.1)
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

impl Drop for CudaExecutor {
    fn drop(&mut self) {
        if self.gpu.context.bind().is_ok() {
            // What is freed next must not be in use; a failure means that nothing runs any more.
            let _ = self.stream.synchronize();
        }
    }
}

/// A list of segments as bits.
fn bits(segments: &[Segment]) -> u32 {
    segments.iter().fold(0, |bits, segment| bits | 1 << segment.index())
}

/// Segments in words.
fn names(segments: u32) -> String {
    let present = Segment::ALL
        .into_iter()
        .filter(|segment| segments >> segment.index() & 1 == 1);
    let names: Vec<&str> = present.map(Segment::name).collect();
    format!("segments {}", names.join(", "))
}

/// Where an error that came late may have its cause.
fn work_of(submitted: u32, launching: Launching) -> String {
    match (submitted, launching) {
        (0, _) => "copying".to_owned(),
        (_, Launching::Waiting) => names(submitted),
        _ => format!("a kernel of {} ({VARIABLE}=waiting tells which)", names(submitted)),
    }
}

/// Bytes of an element on this backend.
fn bytes(element: Element, precision: Precision) -> usize {
    match element {
        Element::Real => precision.bytes(),
        Element::Wide => 8,
        Element::Word => 4,
    }
}

/// Contents of a buffer from its bytes.
fn values(element: Element, precision: Precision, contents: &[u8]) -> Values {
    match (element, bytes(element, precision)) {
        (Element::Word, _) => Values::Words(bytemuck::pod_collect_to_vec(contents)),
        (_, 4) => {
            let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(contents);
            Values::Numbers(numbers.into_iter().map(f64::from).collect())
        }
        _ => Values::Numbers(bytemuck::pod_collect_to_vec(contents)),
    }
}

fn allocate(gpu: &Gpu, plan: &Plan, runs: usize, precision: Precision) -> Result<Vec<Memory>> {
    let size = |arena: &Arena| plan.stride(*arena) * runs * bytes(arena.element(), precision);
    let wanted: usize = Arena::ALL.iter().map(size).sum();
    let free = gpu.context.free_memory()?;
    if wanted > free {
        return Err(Error::device(format!(
            "cuda: {}: {runs} run(s) need {wanted} bytes of memory, {free} are free; fewer runs or samples fit",
            gpu.summary.name
        )));
    }
    // An empty arena still has an address.
    let memory = |arena: &Arena| Memory::new(&gpu.context, size(arena).max(256), &format!("arena {arena:?}"));
    Arena::ALL.iter().map(memory).collect()
}
