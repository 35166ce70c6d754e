//! Gradients themselves: of single samples, and their sum.

use std::sync::Arc;

use super::{Request, numbers};
use crate::backend::{Executor, Make, cpu_executor};
use crate::config::LossKind;
use crate::data::{Samples, Source};
use crate::error::{Error, Result};
use crate::given::Given;
use crate::loss::{Cotangent, losses};
use crate::model::ModelShape;
use crate::plan::{Arena, PlanBuilder, Segment, View};
use crate::task::Examples;

/// The gradient of every sample's loss `[P]`, in the order of the network's layout, sample by sample.
///
/// Each is had from a pass over its sample alone, so none depends on the structured form of the Gram matrix.
///
/// # Errors
/// As [`super::measure()`], or what `visit` returns.
pub fn per_sample_gradients(
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    request: &Request,
    visit: impl FnMut(usize, &[f64]) -> Result<()>,
) -> Result<()> {
    per_sample_gradients_on(
        &|plan| cpu_executor(plan, request.precision),
        shape,
        weights,
        examples,
        request,
        visit,
    )
}

/// The same on any backend.
///
/// # Errors
/// As [`per_sample_gradients`], or a device error.
pub fn per_sample_gradients_on(
    make: Make,
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    request: &Request,
    mut visit: impl FnMut(usize, &[f64]) -> Result<()>,
) -> Result<()> {
    let mut pass = GradientPass::new(make, shape, weights, 1, request.loss)?;
    for sample in 0..examples.n {
        visit(sample, &pass.run(&examples.select(&[sample as u32]))?.0)?;
    }
    Ok(())
}

/// The sum of the gradients of all samples' losses `[P]`, in the order of the network's layout, and their losses `[N]`.
///
/// # Errors
/// If there are no samples or they do not fit, or a device error.
pub fn gradient_sum_on(
    make: Make,
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    loss: LossKind,
) -> Result<(Vec<f64>, Vec<f64>)> {
    if examples.n == 0 {
        return Err(Error::shape("the data hold no samples, expected at least 1"));
    }
    GradientPass::new(make, shape, weights, examples.n, loss)?.run(examples)
}

/// A forward and backward pass over a fixed number of samples.
struct GradientPass {
    executor: Box<dyn Executor>,
    samples: Samples,
    gradient: View,
    loss: View,
}

impl GradientPass {
    fn new(make: Make, shape: &ModelShape, weights: &[f64], n: usize, kind: LossKind) -> Result<Self> {
        let mut builder = PlanBuilder::new();
        let given = Given::new(&mut builder, shape);
        let net = &given.net;
        let mut samples = Samples::default();
        let batch = samples.batch(&mut builder, shape, Source::Train, 0..n);
        let gradient = builder.buffer(Arena::Gradients, "gradient", &[net.layout.len]);
        let loss = builder.buffer(Arena::Values, "losses", &[n]);
        builder.segment(Segment::Step);
        let forward = net.forward(&mut builder, batch);
        let cotangent = Cotangent::new(&mut builder, n, shape.classes());
        losses(&mut builder, kind, &forward, loss, Some(cotangent));
        let sites = net.backward(&mut builder, &forward, cotangent.logits);
        net.gradient(&mut builder, &sites, cotangent.exponent, gradient, 1, false);
        let mut executor = make(Arc::new(builder.finish()?))?;
        given.upload(executor.as_mut(), weights)?;
        Ok(Self {
            executor,
            samples,
            gradient,
            loss,
        })
    }

    /// The sum of the samples' gradients, and their losses.
    fn run(&mut self, examples: &Examples) -> Result<(Vec<f64>, Vec<f64>)> {
        for fill in &self.samples.fills {
            let (buffer, values) = fill.values(examples)?;
            self.executor.upload(0, buffer, &values)?;
        }
        self.executor.submit(&[Segment::Step])?;
        Ok((
            numbers(self.executor.as_mut(), self.gradient)?,
            numbers(self.executor.as_mut(), self.loss)?,
        ))
    }
}
