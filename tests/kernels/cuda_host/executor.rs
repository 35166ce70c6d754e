//! Memory and launches of `cuda-host`. Every launch runs three times on the same contents, with threads and blocks in
//! different orders; results that differ in a bit are an error.

use std::ops::Range;
use std::sync::Arc;

use gmatrix::backend::{Executor, Precision, Values, cuda};
use gmatrix::plan::{Arena, Buffer, BufferId, Element, Plan, Segment, lower};
use gmatrix::{Error, Result};

use super::library::{self, Library};

/// Ascending, descending, shuffled by a seed.
const ORDERS: [u32; 3] = [0, 1, 20_261];

/// The orders that are tried: where errors of indices are sought, one will do.
fn orders() -> &'static [u32] {
    if library::is_watched() { &ORDERS[..1] } else { &ORDERS }
}

struct Ready {
    segment: Segment,
    label: String,
    library: Arc<Library>,
    specialisation: u32,
    grid: [u32; 3],
    arguments: Vec<u8>,
    /// Where the kernel may read and write: arenas, and bytes in them.
    open: Vec<(Arena, Range<usize>)>,
}

pub struct CudaHost {
    plan: Arc<Plan>,
    precision: Precision,
    launches: Vec<Ready>,
    /// In units of eight bytes, so that all kinds of elements are aligned. Never reallocated: arguments point there.
    arenas: Vec<Vec<u64>>,
}

impl CudaHost {
    pub fn new(plan: Arc<Plan>, runs: usize, precision: Precision) -> Result<Self> {
        let lowered = lower(&plan, &super::capabilities()?)?;
        let mut arenas: Vec<Vec<u64>> = Arena::ALL
            .iter()
            .map(|arena| vec![0; (plan.stride(*arena) * runs * bytes(arena.element(), precision)).div_ceil(8)])
            .collect();
        let addresses: Vec<u64> = arenas.iter_mut().map(|arena| arena.as_mut_ptr() as u64).collect();
        let mut launches = Vec::new();
        for launch in lowered {
            let Some(grid) = cuda::grid(&launch, runs)? else {
                continue;
            };
            let control = (Arena::Control, 0..plan.stride(Arena::Control) * runs * 4);
            let bindings = launch.bindings.iter().flat_map(|binding| {
                let (size, stride) = (bytes(binding.arena.element(), precision), plan.stride(binding.arena));
                (0..runs).map(move |slot| {
                    let first = slot * stride + binding.start;
                    (binding.arena, first * size..(first + binding.len) * size)
                })
            });
            launches.push(Ready {
                open: bindings.chain([control]).collect(),
                segment: launch.segment,
                library: library::of(launch.kernel)?,
                specialisation: library::place(launch.kernel, &launch.spec, precision),
                grid,
                arguments: cuda::arguments(&launch, &plan, precision, |arena| addresses[arena.index()]),
                label: launch.label,
            });
        }
        let mut executor = Self {
            plan: plan.clone(),
            precision,
            launches,
            arenas,
        };
        for slot in 0..runs {
            for (buffer, words) in &plan.tables {
                executor.upload(slot, *buffer, &Values::Words(words.clone()))?;
            }
        }
        Ok(executor)
    }

    /// A buffer, its element's kind, and where a slot's share begins in bytes.
    fn place(&self, slot: usize, buffer: BufferId) -> (&Buffer, Element, usize) {
        let buffer = self.plan.buffer(buffer);
        let element = buffer.arena.element();
        let first = slot * self.plan.stride(buffer.arena) + buffer.offset;
        (buffer, element, first * bytes(element, self.precision))
    }

    /// Closes what a launch has no business with, or opens all of it again.
    fn guard(&self, ready: &Ready, closed: bool) {
        for arena in &self.arenas {
            ready.library.guard(bytemuck::cast_slice(arena), closed);
        }
        for (arena, range) in ready.open.iter().filter(|_| closed) {
            let arena: &[u8] = bytemuck::cast_slice(&self.arenas[arena.index()]);
            ready.library.guard(&arena[range.clone()], false);
        }
    }

    fn run(&mut self, place: usize) -> Result<()> {
        let ready = &self.launches[place];
        let before = self.arenas.clone();
        let mut first: Option<Vec<Vec<u64>>> = None;
        for order in orders() {
            for (arena, contents) in self.arenas.iter_mut().zip(&before) {
                arena.copy_from_slice(contents);
            }
            self.guard(ready, true);
            // SAFETY: `cuda::arguments` points into the arenas, where the plan has room for every binding of every run;
            // they are not touched here while the kernel runs.
            let launched = unsafe {
                ready
                    .library
                    .launch(ready.specialisation, &ready.arguments, ready.grid, *order)
            };
            self.guard(ready, false);
            launched.map_err(|rule| Error::device(format!("{}: {rule}", ready.label)))?;
            match &first {
                None => first = Some(self.arenas.clone()),
                Some(first) if *first != self.arenas => {
                    return Err(Error::device(format!(
                        "{}: results depend on the order in which threads run (order {order})",
                        ready.label
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl Executor for CudaHost {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        let (target, element, start) = self.place(slot, buffer);
        let real_f32 = element == Element::Real && self.precision == Precision::F32;
        let (len, contents): (usize, Vec<u8>) = match values {
            Values::Words(words) => (words.len(), words.iter().flat_map(|x| x.to_ne_bytes()).collect()),
            Values::Numbers(numbers) if real_f32 => (
                numbers.len(),
                numbers.iter().flat_map(|x| (*x as f32).to_ne_bytes()).collect(),
            ),
            Values::Numbers(numbers) => (numbers.len(), numbers.iter().flat_map(|x| x.to_ne_bytes()).collect()),
        };
        if len != target.len() || matches!(values, Values::Words(_)) != (element == Element::Word) {
            return Err(Error::shape(format!(
                "buffer {} has {} elements, {len} were given",
                target.name,
                target.len()
            )));
        }
        let arena = target.arena.index();
        bytemuck::cast_slice_mut(&mut self.arenas[arena])[start..start + contents.len()].copy_from_slice(&contents);
        Ok(())
    }

    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        let (source, element, start) = self.place(slot, buffer);
        let size = bytes(element, self.precision);
        let arena: &[u8] = bytemuck::cast_slice(&self.arenas[source.arena.index()]);
        let contents = &arena[start..start + source.len() * size];
        let single = contents
            .chunks_exact(4)
            .map(|x| u32::from_ne_bytes([x[0], x[1], x[2], x[3]]));
        Ok(match (element, size) {
            (Element::Word, _) => Values::Words(single.collect()),
            (_, 4) => Values::Numbers(single.map(|bits| f64::from(f32::from_bits(bits))).collect()),
            _ => {
                let double = contents.chunks_exact(8);
                Values::Numbers(
                    double
                        .map(|x| f64::from_ne_bytes(x.try_into().expect("eight bytes")))
                        .collect(),
                )
            }
        })
    }

    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        for place in 0..self.launches.len() {
            if segments.contains(&self.launches[place].segment) {
                self.run(place)?;
            }
        }
        Ok(())
    }

    fn device(&self) -> String {
        "CUDA kernels on the host".into()
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

fn bytes(element: Element, precision: Precision) -> usize {
    match element {
        Element::Real => precision.bytes(),
        Element::Wide => 8,
        Element::Word => 4,
    }
}
