//! Gradients themselves: of single samples, and their sum.

use std::sync::Arc;

use super::{Request, numbers, words};
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

/// What a sample's loss does to the weights.
#[derive(Debug, Clone, Copy)]
pub struct SampleGradient<'a> {
    /// Of its loss `[P]`, in the order of the network's layout.
    pub gradient: &'a [f64],
    /// Its loss.
    pub loss: f64,
    /// Norm of its residual: of the derivative of its loss by its logits.
    pub residual: f64,
}

/// Gradient, loss and residual of every sample, sample by sample.
///
/// # Errors
/// As [`per_sample_gradients_on`].
pub fn sample_gradients_on(
    make: Make,
    shape: &ModelShape,
    weights: &[f64],
    examples: &Examples,
    loss: LossKind,
    mut visit: impl FnMut(usize, SampleGradient<'_>) -> Result<()>,
) -> Result<()> {
    let mut pass = GradientPass::new(make, shape, weights, 1, loss)?;
    for sample in 0..examples.n {
        let (gradient, losses) = pass.run(&examples.select(&[sample as u32]))?;
        let found = SampleGradient {
            gradient: &gradient,
            loss: losses[0],
            residual: pass.residuals()?[0],
        };
        visit(sample, found)?;
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
    cotangent: Cotangent,
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
            cotangent,
        })
    }

    /// The norms of the residuals of the samples that ran last.
    fn residuals(&mut self) -> Result<Vec<f64>> {
        let executor = self.executor.as_mut();
        let scaled = numbers(executor, self.cotangent.logits)?;
        let exponents = words(executor, self.cotangent.exponent)?;
        let classes = scaled.len() / exponents.len();
        let norm = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>().sqrt();
        let unscale = |exponent: u32| -f64::from(exponent as i32);
        Ok(scaled
            .chunks_exact(classes)
            .zip(exponents)
            .map(|(row, exponent)| norm(row) * unscale(exponent).exp2())
            .collect())
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
