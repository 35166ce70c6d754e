//! Memory and launches of the wgpu executor.

use std::sync::Arc;

use super::clock::{Clock, TIMED};
use super::device::{AdapterSummary, DeviceOptions, Gpu};
use super::manifest::with_bindings;
use super::readback::{Copy, Landings, Share, split_values, values};
use super::record::{Recorded, Recorder, UNIFORM};
use super::software::check_turns;
use crate::backend::profile::Span;
use crate::backend::{Executor, Pending, Precision, Values};
use crate::error::{Error, Result};
use crate::plan::{Arena, Buffer, BufferId, Element, Plan, Segment, lower};

/// Runs plans on the best adapter there is, in f32.
#[derive(Debug)]
pub struct WgpuExecutor {
    plan: Arc<Plan>,
    runs: usize,
    gpu: Arc<Gpu>,
    arenas: Vec<wgpu::Buffer>,
    launches: Vec<Recorded>,
    uniforms: wgpu::BindGroup,
    /// Where downloads land.
    landings: Landings,
    clock: Option<Clock>,
}

/// Steps encoded in one submission: enough that submitting costs little, few enough that no driver takes a long one for
/// a hang.
const STEPS: usize = 8;

impl WgpuExecutor {
    /// Memory, pipelines and recorded launches for `runs` runs of a plan; all memory is zero. Executors made so share one
    /// device and what was compiled on it.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`] without an adapter, for kernels that are not there yet, for an argument too
    /// large for one binding and an arena too large for one buffer; compile and device errors with the kernel's name.
    pub fn new(plan: Arc<Plan>, runs: usize) -> Result<Self> {
        Self::on(Gpu::shared()?, plan, runs)
    }

    /// The same on a device of its own, with no more of the adapter than the options allow.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_options(plan: Arc<Plan>, runs: usize, options: &DeviceOptions) -> Result<Self> {
        Self::on(Arc::new(Gpu::new(options)?), plan, runs)
    }

    fn on(gpu: Arc<Gpu>, plan: Arc<Plan>, runs: usize) -> Result<Self> {
        let largest = gpu.device.limits().max_storage_buffer_binding_size;
        let launches = lower(&plan, &with_bindings(largest))?;
        if gpu.summary.name.contains("llvmpipe") {
            check_turns(&launches)?;
        }
        let arenas = allocate(&gpu, &plan, runs)?;
        let mut recorder = Recorder::new(&gpu, &plan, &arenas, runs);
        let mut recorded = Vec::with_capacity(launches.len());
        for (place, launch) in launches.iter().enumerate() {
            recorded.extend(recorder.record(place, launch)?);
        }
        let uniforms = recorder.uniforms()?;
        let mut executor = Self {
            plan,
            runs,
            gpu,
            arenas,
            launches: recorded,
            uniforms,
            landings: Landings::default(),
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

    /// The adapter it runs on.
    pub fn adapter(&self) -> &AdapterSummary {
        &self.gpu.summary
    }

    /// Destroys its device: whatever is asked of this executor from here on is an error, as after a driver's failure, and
    /// so it is for those that share the device.
    pub fn destroy_device(&self) {
        self.gpu.destroy();
    }

    /// Copies a part of a buffer to the host, behind all that was submitted before.
    fn read(&self, what: &str, share: Share<'_>) -> Result<Vec<u8>> {
        match self.landings.copy(&self.gpu, what, &[share])? {
            Some(copy) => copy.wait(),
            None => Ok(Vec::new()),
        }
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        let descriptor = wgpu::CommandEncoderDescriptor::default();
        self.gpu.device.create_command_encoder(&descriptor)
    }

    /// The launches of these segments.
    fn of(&self, segments: &[Segment]) -> impl Iterator<Item = &Recorded> {
        self.launches.iter().filter(|launch| segments.contains(&launch.segment))
    }

    /// Runs segments and reads the times of their launches.
    fn submit_timed(&mut self, segments: &[Segment], clock: &mut Clock) -> Result<()> {
        let all: Vec<usize> = (0..self.launches.len())
            .filter(|k| segments.contains(&self.launches[*k].segment))
            .collect();
        for part in all.chunks(TIMED) {
            let launches: Vec<&Recorded> = part.iter().map(|k| &self.launches[*k]).collect();
            let places: Vec<(usize, usize)> = launches.iter().map(|launch| (launch.place, launch.runs())).collect();
            let (times, size) = self.gpu.checked(
                || names(segments),
                || {
                    let mut encoder = self.encoder();
                    let times = clock.encode(&mut encoder, &launches, &self.uniforms);
                    self.gpu.queue.submit([encoder.finish()]);
                    times
                },
            )?;
            let share = Share {
                source: &times,
                first: 0,
                size,
            };
            let times = self.read("times of launches", share)?;
            clock.add(&places, &times);
        }
        Ok(())
    }

    /// A slot's share of a buffer, to be read.
    fn share(&self, slot: usize, buffer: BufferId) -> Result<(&Buffer, Share<'_>)> {
        let (buffer, first, size) = self.place(slot, buffer)?;
        let source = &self.arenas[buffer.arena.index()];
        Ok((buffer, Share { source, first, size }))
    }

    /// A slot's share of a buffer: the buffer, its first byte in the arena and how many bytes it has.
    fn place(&self, slot: usize, buffer: BufferId) -> Result<(&Buffer, u64, u64)> {
        let buffer = self.plan.buffer(buffer);
        if slot >= self.runs {
            return Err(Error::shape(format!(
                "buffer {}: slot {slot} of {} was asked for",
                buffer.name, self.runs
            )));
        }
        let size = bytes(buffer.arena.element());
        let first = slot * self.plan.stride(buffer.arena) + buffer.offset;
        Ok((buffer, first as u64 * size, buffer.len() as u64 * size))
    }
}

impl Executor for WgpuExecutor {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        let (buffer, first, _) = self.place(slot, buffer)?;
        let element = buffer.arena.element();
        let (found, data): (usize, Vec<u8>) = match (element, values) {
            (Element::Real, Values::Numbers(x)) => {
                (x.len(), x.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect())
            }
            (Element::Wide, Values::Numbers(x)) => (
                x.len(),
                x.iter().flat_map(|x| split(*x)).flat_map(f32::to_le_bytes).collect(),
            ),
            (Element::Word, Values::Words(x)) => (x.len(), x.iter().flat_map(|x| x.to_le_bytes()).collect()),
            (_, Values::Numbers(x)) => (x.len(), Vec::new()),
            (_, Values::Words(x)) => (x.len(), Vec::new()),
        };
        if data.len() as u64 != buffer.len() as u64 * bytes(element) {
            return Err(Error::shape(format!(
                "buffer {} has {} elements of kind {element:?}, {found} were given",
                buffer.name,
                buffer.len()
            )));
        }
        let arena = &self.arenas[buffer.arena.index()];
        self.gpu.checked(
            || format!("upload of {}", buffer.name),
            || self.gpu.queue.write_buffer(arena, first, &data),
        )
    }

    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        let (buffer, share) = self.share(slot, buffer)?;
        let data = self.read(&format!("download of {}", buffer.name), share)?;
        Ok(values(buffer.arena.element(), &data))
    }

    fn request(&mut self, shares: &[(usize, BufferId)]) -> Result<Pending> {
        let found = shares.iter().map(|(slot, buffer)| self.share(*slot, *buffer));
        let (buffers, shares): (Vec<&Buffer>, Vec<Share<'_>>) = found.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let parts: Vec<(Element, usize)> = buffers.iter().map(|b| (b.arena.element(), b.len())).collect();
        let names: Vec<&str> = buffers.iter().map(|buffer| buffer.name.as_str()).collect();
        let what = format!("download of {}", names.join(", "));
        let copy = self.landings.copy(&self.gpu, &what, &shares)?;
        Ok(Box::new(move || {
            let data = copy.map_or(Ok(Vec::new()), Copy::wait)?;
            Ok(split_values(&parts, &data))
        }))
    }

    fn is_asynchronous(&self) -> bool {
        // Launches that are timed are waited for.
        self.clock.is_none()
    }

    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        self.submit_steps(&[segments.to_vec()])
    }

    fn submit_steps(&mut self, steps: &[Vec<Segment>]) -> Result<()> {
        if let Some(mut clock) = self.clock.take() {
            let timed = steps
                .iter()
                .try_for_each(|segments| self.submit_timed(segments, &mut clock));
            self.clock = Some(clock);
            return timed;
        }
        for steps in steps.chunks(STEPS) {
            self.gpu.checked(
                || names(&steps.concat()),
                || {
                    let mut encoder = self.encoder();
                    {
                        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                        for launch in steps.iter().flat_map(|segments| self.of(segments)) {
                            launch.encode(&mut pass, &self.uniforms);
                        }
                    }
                    self.gpu.queue.submit([encoder.finish()]);
                },
            )?;
        }
        Ok(())
    }

    fn set_profiling(&mut self, on: bool) -> Result<()> {
        self.clock = if on { Some(Clock::new(&self.gpu)?) } else { None };
        Ok(())
    }

    fn spans(&mut self) -> Result<Vec<Span>> {
        Ok(self
            .clock
            .as_mut()
            .map_or_else(Vec::new, |clock| std::mem::take(&mut clock.spans)))
    }

    fn device(&self) -> String {
        let AdapterSummary {
            name, backend, driver, ..
        } = &self.gpu.summary;
        format!("{name}, {backend}, {driver}")
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// What was submitted, in words.
fn names(segments: &[Segment]) -> String {
    let present = Segment::ALL.into_iter().filter(|segment| segments.contains(segment));
    let names: Vec<&str> = present.map(Segment::name).collect();
    format!("segments {}", names.join(", "))
}

/// Bytes of an element on this backend.
pub(super) fn bytes(element: Element) -> u64 {
    match element {
        Element::Real | Element::Word => 4,
        Element::Wide => 8,
    }
}

/// A number as the nearest f32 and what that lacks.
fn split(x: f64) -> [f32; 2] {
    let high = x as f32;
    let low = if high.is_finite() {
        (x - f64::from(high)) as f32
    } else {
        0.0
    };
    [high, low]
}

/// The number that a pair stands for; the low half of one that is not finite means nothing.
pub(super) fn join([high, low]: [f32; 2]) -> f64 {
    if high.is_finite() {
        f64::from(high) + f64::from(low)
    } else {
        f64::from(high)
    }
}

fn allocate(gpu: &Gpu, plan: &Plan, runs: usize) -> Result<Vec<wgpu::Buffer>> {
    let limits = gpu.device.limits();
    Arena::ALL
        .iter()
        .map(|arena| {
            // An empty arena still needs a buffer where a kernel binds it as a whole.
            let size = ((plan.stride(*arena) * runs) as u64 * bytes(arena.element())).max(UNIFORM);
            let limit = limits.max_buffer_size;
            if size > limit {
                return Err(Error::unsupported(format!(
                    "wgpu: arena {arena:?} needs {size} bytes for {runs} run(s), and a buffer of {} has at most {limit}; \
                     fewer runs or samples fit, or the CPU backend",
                    gpu.summary.name
                )));
            }
            gpu.checked(
                || format!("{size} bytes for arena {arena:?}"),
                || {
                    gpu.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some(&format!("{arena:?}")),
                        size,
                        usage: wgpu::BufferUsages::STORAGE
                            | wgpu::BufferUsages::COPY_SRC
                            | wgpu::BufferUsages::COPY_DST,
                        mapped_at_creation: false,
                    })
                },
            )
        })
        .collect()
}
