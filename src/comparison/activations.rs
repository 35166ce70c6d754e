//! What the layers of a network see, sample by sample.

use std::sync::Arc;

use super::matrix::Matrix;
use crate::backend::Make;
use crate::data::{Samples, Source};
use crate::error::{Error, Result};
use crate::given::Given;
use crate::measure::numbers;
use crate::model::ModelShape;
use crate::plan::{Arena, PlanBuilder, Segment, Strided};
use crate::task::Examples;

/// Activations of a network on some samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Activations {
    /// The input of every matrix, by the matrix's name, in the order of a forward pass: `[N, positions * d_in]`, at those
    /// positions that reach the logits. Matrices that share their input are named once.
    pub sites: Vec<(String, Matrix)>,
    /// Logits, `[N, V]`.
    pub logits: Matrix,
}

/// The activations of a network on these samples.
///
/// # Errors
/// If there are no samples or they do not fit the network, or a device error.
pub fn activations(make: Make, shape: &ModelShape, weights: &[f64], examples: &Examples) -> Result<Activations> {
    let n = examples.n;
    if n == 0 {
        return Err(Error::shape("the data hold no samples, expected at least 1"));
    }
    let mut builder = PlanBuilder::new();
    let given = Given::new(&mut builder, shape);
    let net = &given.net;
    let mut samples = Samples::default();
    let batch = samples.batch(&mut builder, shape, Source::Train, 0..n);
    builder.segment(Segment::Evaluate);
    let forward = net.forward(&mut builder, batch);
    // A backward pass says where every matrix finds its input; it is planned and never run.
    let cotangent = builder.buffer(Arena::Cotangents, "cotangent", &[n, shape.classes()]);
    builder.segment(Segment::Step);
    let sites = net.backward(&mut builder, &forward, cotangent);
    let mut executor = make(Arc::new(builder.finish()?))?;
    given.upload(executor.as_mut(), weights)?;
    for fill in &samples.fills {
        let (buffer, values) = fill.values(examples)?;
        executor.upload(0, buffer, &values)?;
    }
    executor.submit(&[Segment::Evaluate])?;
    let mut found: Vec<(String, Matrix)> = Vec::new();
    let mut seen: Vec<(Strided, usize)> = Vec::new();
    for site in sites.iter().rev() {
        let Some(a) = site.a.filter(|a| !seen.contains(&(*a, site.positions))) else {
            continue;
        };
        seen.push((a, site.positions));
        let (values, start) = (numbers(executor.as_mut(), a.view)?, a.view.start());
        let rows = (0..n).flat_map(|i| {
            let values = &values;
            (0..site.positions)
                .flat_map(move |t| &values[start + i * a.stride_n + t * a.stride_t..][..site.d_in])
                .copied()
        });
        found.push((
            site.name.clone(),
            Matrix::new(n, site.positions * site.d_in, rows.collect())?,
        ));
    }
    let logits = numbers(executor.as_mut(), forward.logits)?;
    Ok(Activations {
        sites: found,
        logits: Matrix::new(n, shape.classes(), logits[..n * shape.classes()].to_vec())?,
    })
}
