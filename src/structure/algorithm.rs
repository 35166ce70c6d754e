//! Which algorithm a network adds by (Zhong et al. 2306.17844): "clock", which multiplies waves of the two operands, or
//! "pizza", which adds their embeddings first.
//!
//! - **Gradient symmetricity**: the mean over [`TRIPLES`] random triples (x, y, class) of the cosine between the gradients
//!   of that logit at the pair by the embeddings of its two operands; near 1 where only their sum is seen.
//! - **Distance irrelevance**: the standard deviation of the correct logit over the pairs of one distance (x - y for a
//!   sum), averaged over distances, over its standard deviation over all pairs: near 1 where the distance says nothing.

use std::sync::Arc;

use super::table::{Responses, Table};
use crate::backend::{Make, Values};
use crate::data::{Samples, Source};
use crate::error::Result;
use crate::given::Given;
use crate::measure::{id, numbers};
use crate::model::ModelShape;
use crate::plan::{Arena, PlanBuilder, Segment};
use crate::random::{Purpose, Stream};

/// Triples of the gradient symmetricity.
pub const TRIPLES: usize = 100;

/// The pairs and classes of the triples, for a table of so many pairs and classes: the same for all networks.
pub fn triples(pairs: usize, classes: usize) -> Vec<(u32, u32)> {
    let stream = Stream::new(0, Purpose::Analysis);
    let draw = |index: u64, below: usize| stream.below(index, below as u32);
    (0..TRIPLES as u64)
        .map(|triple| (draw(2 * triple, pairs), draw(2 * triple + 1, classes)))
        .collect()
}

/// The mean cosine between the gradients of random logits by the embeddings of their two operands.
///
/// None where operands are not embedded.
///
/// # Errors
/// A device error.
pub fn gradient_symmetricity(make: Make, table: &Table, shape: &ModelShape, weights: &[f64]) -> Result<Option<f64>> {
    let (pairs, classes): (Vec<u32>, Vec<u32>) = triples(table.examples.n, shape.classes()).into_iter().unzip();
    let mut cotangent = vec![0.0; TRIPLES * shape.classes()];
    for (row, class) in cotangent.chunks_exact_mut(shape.classes()).zip(&classes) {
        row[*class as usize] = 1.0;
    }

    let mut builder = PlanBuilder::new();
    let given = Given::new(&mut builder, shape);
    let net = &given.net;
    let mut samples = Samples::default();
    let batch = samples.batch(&mut builder, shape, Source::Train, 0..TRIPLES);
    let of_logits = builder.buffer(Arena::Inputs, "cotangent", &[TRIPLES, shape.classes()]);
    builder.segment(Segment::Step);
    let forward = net.forward(&mut builder, batch);
    let sites = net.backward(&mut builder, &forward, of_logits);
    let Some(site) = sites.iter().find(|site| site.name == "embed.W_E") else {
        return Ok(None);
    };
    let mut executor = make(Arc::new(builder.finish()?))?;
    given.upload(executor.as_mut(), weights)?;
    executor.upload(0, id(of_logits), &Values::Numbers(cotangent))?;
    let examples = table.examples.select(&pairs);
    for fill in &samples.fills {
        let (buffer, values) = fill.values(&examples)?;
        executor.upload(0, buffer, &values)?;
    }
    executor.submit(&[Segment::Step])?;
    let gradients = numbers(executor.as_mut(), site.b.view)?;
    let start = site.b.view.start();
    let second = if examples.t == 4 { 2 } else { 1 };
    let gradient = |triple: usize, position: usize| {
        &gradients[start + triple * site.b.stride_n + position * site.b.stride_t..][..site.d_out]
    };
    let cosines = (0..TRIPLES).map(|triple| cosine(gradient(triple, 0), gradient(triple, second)));
    Ok(Some(cosines.sum::<f64>() / TRIPLES as f64))
}

/// The cosine between two vectors; 0 where one is 0.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

/// The correct logit's standard deviation within a distance over that of all pairs; NaN where it does not vary.
pub fn distance_irrelevance(table: &Table, responses: &Responses) -> f64 {
    let n = table.order();
    let mut by_distance: Vec<Vec<f64>> = vec![Vec::with_capacity(n); n];
    for (place, row) in responses.logits.chunks_exact(responses.classes).enumerate() {
        let correct = table.group.class(table.sum(place)) as usize;
        by_distance[table.opposite(place)].push(row[correct]);
    }
    let within = by_distance.iter().map(|logits| deviation(logits)).sum::<f64>() / n as f64;
    within / deviation(&by_distance.concat())
}

/// The standard deviation of a sample, with n - 1.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (square / (n - 1.0)).sqrt()
}
