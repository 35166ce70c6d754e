//! The statistics of captured sites: a plan without a network.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LARGEST, Sites};
use crate::backend::{Make, Precision, cpu_executor};
use crate::error::{Error, Result};
use crate::measure::{id, numbers, unscaled, words};
use crate::model::gradient;
use crate::plan::{Arena, PlanBuilder, Segment, control};
use crate::stats::gram::{self, EXACT_LIMIT, Output};
use crate::stats::{columns, per_sample, reduce};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Precision of all real numbers.
    pub precision: Precision,
    /// Whether spectra are solved however many samples there are; up to [`EXACT_LIMIT`] they always are.
    pub spectrum: bool,
    /// Whether the Gram matrix is wanted.
    pub gram: bool,
}

impl Default for Request {
    /// All scalars, in f64.
    fn default() -> Self {
        Self {
            precision: Precision::F64,
            spectrum: false,
            gram: false,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Every scalar under its column's name, and `gradient_norm`; null (none) where it is not defined.
    pub scalars: BTreeMap<String, Option<f64>>,
    /// Gram matrix `[N, N]`, row-major, where it was asked for.
    pub gram: Option<Vec<f64>>,
    /// Choices of the planner: how the part of each site is computed.
    pub choices: Vec<(String, String)>,
}

impl Sites {
    /// All statistics of the samples' gradients: norms, coherence, noise, and the Gram matrix with its ranks and nulls.
    ///
    /// # Errors
    /// [`Shape`](crate::ErrorKind::Shape) if there are no sites or more numbers than 32 bits can address;
    /// [`Numeric`](crate::ErrorKind::Numeric) if a number leaves the range of the precision or a spectrum is not found.
    pub fn statistics(&self, request: &Request) -> Result<Statistics> {
        self.statistics_on(&|plan| cpu_executor(plan, request.precision), request)
    }

    /// The same on any backend; the request's precision must be the executor's.
    ///
    /// # Errors
    /// As [`Self::statistics`], or a device error.
    pub fn statistics_on(&self, make: Make, request: &Request) -> Result<Statistics> {
        self.check_range(request.precision)?;
        let mut builder = PlanBuilder::new();
        let width = columns::names(&[]).len();
        let scalars = builder.buffer(Arena::Scalars, "scalars", &[control::RATES + width]);
        builder.segment(Segment::Gram);
        builder.scope();
        let laid_out = self.lay_out(&mut builder);
        let (sites, exponent) = (&laid_out.sites, laid_out.exponent);
        let mean = builder.buffer(Arena::Gradients, "gradient", &[laid_out.layout.len]);
        gradient(&mut builder, &laid_out.layout, sites, exponent, mean, self.n, false);
        let square = scalars.part(control::MEAN_SQUARE, 1);
        reduce::dot(&mut builder, "gradient.square", mean, mean, square);
        let norm = per_sample::norms(&mut builder, sites, exponent);
        per_sample::statistics(&mut builder, norm, exponent, scalars);
        let output = if self.n <= EXACT_LIMIT || request.spectrum || request.gram {
            Output::Spectra
        } else {
            Output::Streamed
        };
        let stored = gram::add(&mut builder, sites, exponent, self.parameters(), scalars, output).gram;
        let plan = Arc::new(builder.finish()?);

        let mut executor = make(plan.clone())?;
        let executor = executor.as_mut();
        for (view, values) in &laid_out.fills {
            executor.upload(0, id(*view), values)?;
        }
        executor.submit(&[Segment::Gram])?;
        let gram = match stored {
            Some(view) if request.gram => Some(unscaled(&numbers(executor, view)?, &words(executor, exponent)?)),
            _ => None,
        };
        Ok(Statistics {
            scalars: named_scalars(&numbers(executor, scalars)?),
            gram,
            choices: plan.choices.clone(),
        })
    }

    fn check_range(&self, precision: Precision) -> Result<()> {
        if self.sites.is_empty() {
            return Err(Error::shape("there are no sites, expected at least one"));
        }
        if self.parameters() > LARGEST {
            return Err(Error::shape(format!(
                "the sites have {} parameters, expected at most {LARGEST}",
                self.parameters()
            )));
        }
        if precision == Precision::F64 {
            return Ok(());
        }
        for site in &self.sites {
            if let super::Input::Linear { a, .. } = &site.input
                && let Some(large) = a.iter().find(|x| x.abs() > f64::from(f32::MAX))
            {
                return Err(Error::numeric(format!(
                    "site {}: a holds {large:e}, beyond the range of f32, expected --precision f64",
                    site.name
                )));
            }
        }
        Ok(())
    }
}

fn named_scalars(row: &[f64]) -> BTreeMap<String, Option<f64>> {
    let finite = |value: f64| value.is_finite().then_some(value);
    let mut scalars: BTreeMap<String, Option<f64>> = columns::FIXED
        .iter()
        .zip(&row[control::RATES..])
        .filter(|((_, segment), _)| [Segment::Scalars, Segment::Gram].contains(segment))
        .map(|((name, _), value)| ((*name).to_owned(), finite(*value)))
        .collect();
    scalars.insert("gradient_norm".to_owned(), finite(row[control::MEAN_SQUARE].sqrt()));
    scalars
}
