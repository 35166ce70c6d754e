//! Where the time goes: the spans of single launches, summed by kernel, or listed for a trace viewer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Executor, Pending, Precision, Values};
use crate::error::Result;
use crate::plan::{BufferId, Launch, Plan, Segment};

/// When one launch ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Which, in the order of [`crate::plan::lower`].
    pub launch: usize,
    /// Run slots that took part, as far as the executor knows.
    pub runs: usize,
    /// When it began, in seconds since the first one.
    pub start: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Most launches of which a trace keeps each: more than a viewer can show.
pub const TRACED: usize = 100_000;

/// All launches of one kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// How often it was launched.
    pub calls: u64,
    /// Seconds of all its launches.
    pub seconds: f64,
    /// Bytes of its arguments, each read or written once.
    pub bytes: f64,
    /// Floating-point operations that its contract counts.
    pub flops: f64,
}

/// What was launched, for how long, and how much it did.
#[derive(Debug)]
pub struct Profile {
    launches: Vec<Launch>,
    real: usize,
    totals: BTreeMap<&'static str, Total>,
    segments: BTreeMap<Segment, f64>,
    traced: Vec<Span>,
    spans: usize,
}

impl Profile {
    /// A profile of the launches of a plan, as lowered for the executor.
    pub fn new(launches: Vec<Launch>, precision: Precision) -> Self {
        Self {
            launches,
            real: precision.bytes(),
            totals: BTreeMap::new(),
            segments: BTreeMap::new(),
            traced: Vec::new(),
            spans: 0,
        }
    }

    /// Counts spans.
    pub fn add(&mut self, spans: &[Span]) {
        for span in spans {
            let launch = &self.launches[span.launch];
            let total = self.totals.entry(launch.kernel.name()).or_default();
            *self.segments.entry(launch.segment).or_default() += span.seconds;
            total.calls += 1;
            total.seconds += span.seconds;
            total.bytes += (launch.bytes(self.real) * span.runs as u64) as f64;
            total.flops += (launch.flops() * span.runs as u64) as f64;
        }
        let room = TRACED - self.traced.len();
        self.traced.extend(spans.iter().take(room));
        self.spans += spans.len();
    }

    /// The totals by kernel, the longest first.
    pub fn totals(&self) -> Vec<(&'static str, Total)> {
        let mut totals: Vec<_> = self.totals.iter().map(|(name, total)| (*name, *total)).collect();
        totals.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
        totals
    }

    /// Seconds of the launches of these segments.
    pub fn seconds_of(&self, segments: &[Segment]) -> f64 {
        segments.iter().filter_map(|segment| self.segments.get(segment)).sum()
    }

    /// The totals as [`table`] prints them.
    pub fn table(&self) -> String {
        table(&self.totals())
    }

    /// Spans beyond those that the trace holds.
    pub fn untraced(&self) -> usize {
        self.spans - self.traced.len()
    }

    /// The first launches, at most [`TRACED`], as JSON for Perfetto or Chrome's `about:tracing`: one track a segment.
    pub fn trace(&self) -> String {
        let events: Vec<Value> = segment_names(0).chain(self.events()).collect();
        json!({ "traceEvents": events }).to_string()
    }

    /// The same launches as events of process 0, times in microseconds since the first.
    pub fn events(&self) -> impl Iterator<Item = Value> + '_ {
        self.traced.iter().map(|span| {
            let launch = &self.launches[span.launch];
            json!({
                "name": launch.label, "cat": launch.kernel.name(), "ph": "X", "pid": 0, "tid": launch.segment.index(),
                "ts": span.start * 1e6, "dur": span.seconds * 1e6,
                "args": { "kernel": launch.kernel.name(), "params": launch.params },
            })
        })
    }
}

/// The names of a process's tracks, one a segment.
pub fn segment_names(process: usize) -> impl Iterator<Item = Value> {
    Segment::ALL.into_iter().map(move |segment| {
        json!({
            "name": "thread_name", "ph": "M", "pid": process, "tid": segment.index(),
            "args": { "name": segment.name() },
        })
    })
}

/// A table of totals by kernel: calls, time, GB/s, GFLOP/s and share of the time. A rate that the contract does not count
/// is left out.
pub fn table(totals: &[(impl AsRef<str>, Total)]) -> String {
    let all: f64 = totals.iter().map(|(_, total)| total.seconds).sum();
    let mut text = format!(
        "{:<22} {:>10} {:>12} {:>10} {:>10} {:>7}\n",
        "kernel", "calls", "seconds", "GB/s", "GFLOP/s", "share"
    );
    let rate = |amount: f64, seconds: f64| {
        if amount > 0.0 && seconds > 0.0 {
            format!("{:.2}", amount / seconds / 1e9)
        } else {
            "-".to_owned()
        }
    };
    for (name, total) in totals {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<22} {:>10} {:>12.6} {:>10} {:>10} {:>6.1}%",
            name.as_ref(),
            total.calls,
            total.seconds,
            rate(total.bytes, total.seconds),
            rate(total.flops, total.seconds),
            100.0 * total.seconds / all
        );
    }
    let _ = writeln!(
        text,
        "{:<22} {:>10} {all:>12.6}",
        "all",
        totals.iter().map(|(_, total)| total.calls).sum::<u64>()
    );
    text
}

/// An executor whose launches are timed; what it does is the same.
pub struct Profiled {
    inner: Box<dyn Executor>,
    profile: Arc<Mutex<Profile>>,
}

impl Profiled {
    /// Times the launches of an executor into a profile.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Unsupported`] if its device has no clock.
    pub fn new(mut inner: Box<dyn Executor>, profile: Arc<Mutex<Profile>>) -> Result<Self> {
        inner.set_profiling(true)?;
        Ok(Self { inner, profile })
    }
}

impl Executor for Profiled {
    fn plan(&self) -> &Plan {
        self.inner.plan()
    }

    fn upload(&mut self, slot: usize, buffer: BufferId, values: &Values) -> Result<()> {
        self.inner.upload(slot, buffer, values)
    }

    fn download(&mut self, slot: usize, buffer: BufferId) -> Result<Values> {
        self.inner.download(slot, buffer)
    }

    fn request(&mut self, shares: &[(usize, BufferId)]) -> Result<Pending> {
        self.inner.request(shares)
    }

    fn is_asynchronous(&self) -> bool {
        self.inner.is_asynchronous()
    }

    fn submit(&mut self, segments: &[Segment]) -> Result<()> {
        self.submit_steps(&[segments.to_vec()])
    }

    fn submit_steps(&mut self, steps: &[Vec<Segment>]) -> Result<()> {
        self.inner.submit_steps(steps)?;
        let spans = self.inner.spans()?;
        self.profile.lock().unwrap_or_else(PoisonError::into_inner).add(&spans);
        Ok(())
    }

    fn set_profiling(&mut self, on: bool) -> Result<()> {
        self.inner.set_profiling(on)
    }

    fn spans(&mut self) -> Result<Vec<Span>> {
        self.inner.spans()
    }

    fn device(&self) -> String {
        self.inner.device()
    }

    fn precision(&self) -> Precision {
        self.inner.precision()
    }
}
