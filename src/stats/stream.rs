//! Statistics of a stream of minibatches: what they say, over a window of steps, about the population they are drawn
//! from, in memory that does not grow.
//!
//! The estimand is the weighted mean of within-step quantities, each step normalised by its own trace: never the square
//! of a gradient that was averaged over time. Numerators and denominators are averaged, then divided.

use super::per_sample;
use crate::plan::layout::{STREAM_BATCHES, STREAM_WIDTH};
use crate::plan::{Arena, Kernel, PlanBuilder, SKETCH_SIDE, Site, View, call, control};

/// Columns, in the order of their places.
pub const COLUMNS: [&str; 11] = [
    "stream.steps",
    "stream.participation_ratio",
    "stream.participation_ratio_se",
    "stream.coherence",
    "stream.coherence_se",
    "stream.noise_scale",
    "stream.noise_scale_se",
    "stream.ntcov",
    "stream.ntcov_se",
    "stream.erank_sketch",
    "stream.k",
];

/// The sums of a window, which outlive its steps.
pub fn state(builder: &mut PlanBuilder) -> View {
    builder.buffer(Arena::Sums, "stream", &[STREAM_BATCHES, STREAM_WIDTH])
}

/// Adds a step's batch to the sums, and at the end of a window its columns.
pub fn add(
    builder: &mut PlanBuilder,
    (sites, exponent): (&[Site], View),
    scalars: View,
    state: View,
    columns: View,
    window: usize,
) {
    let n = exponent.len();
    let norm = per_sample::norms(builder, sites, exponent);
    let sketch = builder.buffer(Arena::Scratch, "stream.sketch", &[n, 2, SKETCH_SIDE, SKETCH_SIDE]);
    let table = builder.site_table("stream.sites", sites);
    let square = scalars.part(control::MEAN_SQUARE, 1);
    builder.op(
        "stream",
        vec![
            call(
                Kernel::Sketch,
                &[],
                &[
                    View::Whole(Arena::Activations),
                    View::Whole(Arena::Cotangents),
                    per_sample::ids(sites, exponent),
                    table,
                    sketch,
                ],
                &[n, sites.len()],
            ),
            call(
                Kernel::Stream,
                &[],
                &[sketch, norm, exponent, square, state, columns],
                &[n, window],
            ),
        ],
    );
}
