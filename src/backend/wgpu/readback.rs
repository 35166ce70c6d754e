//! Copies to the host: submitted behind all earlier work, mapped when they are done, waited for apart from later work.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::Gpu;
use super::executor::{bytes, join};
use crate::backend::Values;
use crate::error::{Error, Result};
use crate::plan::Element;

/// A part of a buffer on the device.
pub(super) struct Share<'a> {
    pub source: &'a wgpu::Buffer,
    /// Its first byte.
    pub first: u64,
    /// Its bytes, a multiple of four.
    pub size: u64,
}

/// Buffers that the host can map, kept from one copy to the next.
#[derive(Debug, Default)]
pub(super) struct Landings(Arc<Mutex<Vec<wgpu::Buffer>>>);

/// A copy on its way.
pub(super) struct Copy {
    gpu: Arc<Gpu>,
    what: String,
    landing: wgpu::Buffer,
    size: u64,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
    home: Arc<Mutex<Vec<wgpu::Buffer>>>,
}

impl Landings {
    /// Submits a copy of these parts, one behind the other; `None` if they are empty.
    pub fn copy(&self, gpu: &Arc<Gpu>, what: &str, shares: &[Share<'_>]) -> Result<Option<Copy>> {
        let size = shares.iter().map(|share| share.size).sum();
        if size == 0 {
            return Ok(None);
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // One that is too small goes, so that no more are kept than were ever on their way at once.
        let landing = match kept.filter(|landing| landing.size() >= size) {
            Some(landing) => landing,
            None => gpu.checked(
                || what.to_owned(),
                || {
                    gpu.device.create_buffer(&wgpu::BufferDescriptor {
                        label: Some("landing"),
                        size,
                        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                        mapped_at_creation: false,
                    })
                },
            )?,
        };
        let (sender, mapped) = channel();
        let submission = gpu.checked(
            || what.to_owned(),
            || {
                let mut encoder = gpu
                    .device
                    .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                let mut place = 0;
                for Share { source, first, size } in shares {
                    encoder.copy_buffer_to_buffer(source, *first, &landing, place, *size);
                    place += size;
                }
                let submission = gpu.queue.submit([encoder.finish()]);
                landing.map_async(wgpu::MapMode::Read, ..size, move |result| {
                    // The receiver is dropped early where nobody waits any more.
                    let _ = sender.send(result);
                });
                submission
            },
        )?;
        Ok(Some(Copy {
            gpu: Arc::clone(gpu),
            what: what.to_owned(),
            landing,
            size,
            submission,
            mapped,
            home: Arc::clone(&self.0),
        }))
    }
}

impl Copy {
    /// Waits for it, and for nothing that was submitted later.
    pub fn wait(self) -> Result<Vec<u8>> {
        let failed = |why: &dyn std::fmt::Display| Error::device(format!("{}: {why}", self.what));
        let polled = self.gpu.device.poll(wgpu::PollType::Wait {
            submission_index: Some(self.submission),
            timeout: None,
        });
        self.gpu.healthy().map_err(|why| failed(&why))?;
        polled.map_err(|why| failed(&why))?;
        // Another executor's thread may be the one that polled and is about to say so.
        self.mapped
            .recv()
            .map_err(|why| failed(&why))?
            .map_err(|why| failed(&why))?;
        let view = self.landing.get_mapped_range(..self.size).map_err(|why| failed(&why))?;
        let data = view.to_vec();
        drop(view);
        self.landing.unmap();
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.landing);
        Ok(data)
    }
}

/// Elements of a buffer, from their bytes.
pub(super) fn values(element: Element, data: &[u8]) -> Values {
    let words = data.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    match element {
        Element::Real => Values::Numbers(words.map(|word| f64::from(f32::from_bits(word))).collect()),
        Element::Wide => {
            let halves: Vec<f32> = words.map(f32::from_bits).collect();
            Values::Numbers(halves.as_chunks::<2>().0.iter().map(|pair| join(*pair)).collect())
        }
        Element::Word => Values::Words(words.collect()),
    }
}

/// Elements of several buffers, so many of each kind, whose bytes lie one behind the other.
pub(super) fn split_values(parts: &[(Element, usize)], mut data: &[u8]) -> Vec<Values> {
    let mut next = |(element, len): &(Element, usize)| {
        let (own, rest) = data.split_at(len * bytes(*element) as usize);
        data = rest;
        values(*element, own)
    };
    parts.iter().map(&mut next).collect()
}
