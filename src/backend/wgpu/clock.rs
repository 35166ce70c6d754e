//! Times of launches, from the device's own clock.

use super::device::Gpu;
use super::record::Recorded;
use crate::backend::profile::Span;
use crate::error::{Error, Result};

/// Launches timed at once: WebGPU's largest query set holds two times for each.
pub(super) const TIMED: usize = (wgpu::QUERY_SET_MAX_QUERIES / 2) as usize;

/// Two times for each launch of a submission.
#[derive(Debug)]
pub(super) struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Nanoseconds of one tick.
    period: f64,
    /// The first time of all.
    origin: Option<u64>,
    pub spans: Vec<Span>,
}

impl Clock {
    pub fn new(gpu: &Gpu) -> Result<Self> {
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(Error::unsupported(format!(
                "wgpu, {}: launches cannot be timed, the driver has no timestamp queries",
                gpu.summary.name
            )));
        }
        gpu.checked(
            || "clock".to_owned(),
            || Self {
                queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("times"),
                    ty: wgpu::QueryType::Timestamp,
                    count: wgpu::QUERY_SET_MAX_QUERIES,
                }),
                resolved: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("times"),
                    size: u64::from(wgpu::QUERY_SET_MAX_QUERIES * wgpu::QUERY_SIZE),
                    usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                }),
                period: f64::from(gpu.queue.get_timestamp_period()),
                origin: None,
                spans: Vec::new(),
            },
        )
    }

    /// Encodes launches, each in a pass of its own; returns where their times will stand and how many bytes they have.
    pub fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        launches: &[&Recorded],
        uniforms: &wgpu::BindGroup,
    ) -> (wgpu::Buffer, u64) {
        for (place, launch) in (0u32..).zip(launches) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &self.queries,
                    beginning_of_pass_write_index: Some(2 * place),
                    end_of_pass_write_index: Some(2 * place + 1),
                }),
            });
            launch.encode(&mut pass, uniforms);
        }
        let count = 2 * launches.len() as u32;
        encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        (self.resolved.clone(), u64::from(count * wgpu::QUERY_SIZE))
    }

    /// Adds the spans of these launches, each of so many runs, whose times were read back.
    pub fn add(&mut self, launches: &[(usize, usize)], times: &[u8]) {
        let times: Vec<u64> = times
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .collect();
        for ((launch, runs), pair) in launches.iter().zip(times.as_chunks::<2>().0) {
            let origin = *self.origin.get_or_insert(pair[0]);
            let seconds = |ticks: u64| ticks as f64 * self.period * 1e-9;
            self.spans.push(Span {
                launch: *launch,
                runs: *runs,
                start: seconds(pair[0].saturating_sub(origin)),
                seconds: seconds(pair[1].saturating_sub(pair[0])),
            });
        }
    }
}
