//! The two rates that everything is compared with.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::{Make, Spread, Watch};
use crate::backend::Values;
use crate::error::Result;
use crate::plan::{Arena, Kernel, KernelCall, PlanBuilder, Segment, View, call};
use crate::random::{Purpose, Stream};

/// Elements that are copied: 48 MiB in and 48 MiB out, more than caches hold and less than the least binding of a GPU.
const COPIED: usize = 12 << 20;

/// Side of the matrices that are multiplied, and of those of the quick form.
const SIDES: [usize; 2] = [2048, 1024];

/// What a backend reaches where nothing else is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Bytes read and written by a copy of 48 MiB, in units of 1e9 a second.
    pub copy_gb_per_s: Spread,
    /// Operations of a product of square matrices, in units of 1e9 a second.
    pub matrix_gflop_per_s: Spread,
}

/// Measures both; returns what the device is called, too.
pub(super) fn measure(make: Make, watch: &Watch) -> Result<(Rates, String)> {
    let copy = |builder: &mut PlanBuilder| {
        let [from, to] = ["from", "to"].map(|name| builder.buffer(Arena::Scratch, name, &[COPIED]));
        call(Kernel::Copy, &[], &[from, to], &[COPIED])
    };
    let (seconds, device) = time(make, watch, copy)?;
    let side = SIDES[usize::from(watch.quick)];
    let product = |builder: &mut PlanBuilder| {
        let [a, b, out] = ["a", "b", "out"].map(|name| builder.buffer(Arena::Scratch, name, &[side, side]));
        call(Kernel::Matmul, &[], &[a, b, out], &[side, side, side])
    };
    let (of_product, _) = time(make, watch, product)?;
    let rates = Rates {
        copy_gb_per_s: inverse(seconds, 8e-9 * COPIED as f64),
        matrix_gflop_per_s: inverse(of_product, 2e-9 * (side as f64).powi(3)),
    };
    Ok((rates, device))
}

/// The rate of an amount from the times it took.
fn inverse(seconds: Spread, amount: f64) -> Spread {
    Spread {
        median: amount / seconds.median,
        low: amount / seconds.high,
        high: amount / seconds.low,
        samples: seconds.samples,
    }
}

/// Seconds of one call, by the device's clock where it has one.
fn time(make: Make, watch: &Watch, of: impl FnOnce(&mut PlanBuilder) -> KernelCall) -> Result<(Spread, String)> {
    let mut builder = PlanBuilder::new();
    let small = builder.buffer(Arena::Values, "small", &[1]);
    builder.segment(Segment::Step);
    let call = of(&mut builder);
    let inputs: Vec<View> = call.bindings[..call.bindings.len() - 1].to_vec();
    builder.op("measured", vec![call]);
    let plan = Arc::new(builder.finish()?);
    let mut executor = make(plan.clone(), 1)?;
    for view in inputs {
        if let View::Part { buffer, len, .. } = view {
            let stream = Stream::new(buffer.index() as u64, Purpose::Null);
            let numbers = (0..len as u64).map(|k| stream.uniform(k)).collect();
            executor.upload(0, buffer, &Values::Numbers(numbers))?;
        }
    }
    let has_clock = executor.set_profiling(true).is_ok();
    let View::Part { buffer: small, .. } = small else {
        unreachable!("buffer() makes parts")
    };
    let seconds = watch.sample(|| {
        let start = Instant::now();
        executor.submit(&[Segment::Step])?;
        // Work may only be queued: reading waits for it.
        executor.download(0, small)?;
        let waited = start.elapsed().as_secs_f64();
        Ok(if has_clock {
            executor.spans()?.iter().map(|span| span.seconds).sum()
        } else {
            waited
        })
    })?;
    Ok((seconds, executor.device()))
}
