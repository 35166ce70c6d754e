//! Samples in a plan: which examples fill which constant buffers of a run slot.

use std::ops::Range;
use std::sync::Arc;

use crate::backend::Values;
use crate::error::{Error, Result};
use crate::model::{Batch, ModelShape};
use crate::plan::{Arena, BufferId, PlanBuilder, View};
use crate::task::{Cyclic, Examples};

/// Which examples of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The training split; in `measure`, the given data.
    Train,
    /// The test split.
    Test,
    /// The fixed Gram subset of the training split.
    Gram,
    /// The Gram subset, and behind it one of the test split.
    Splits,
}

/// What fills a buffer: a part of the examples, or numbers that are the same whatever they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Tokens, `[T, N]`.
    Ids,
    /// Real inputs, `[N, d]`.
    Inputs,
    /// Labels, `[N]`.
    Labels,
    /// Elements of a group that the operands add up to, `[N]`.
    Elements(Arc<Cyclic>),
    /// These numbers.
    Numbers(Vec<f64>),
}

/// One constant buffer and the examples that fill it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    buffer: BufferId,
    /// Which examples.
    pub source: Source,
    rows: Range<usize>,
    part: Part,
}

impl Fill {
    /// The buffer and its contents, from the examples of its source.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Shape`] if there are fewer examples than the plan was made for.
    pub fn values(&self, examples: &Examples) -> Result<(BufferId, Values)> {
        if self.rows.end > examples.n {
            return Err(Error::shape(format!(
                "the plan takes {} examples, there are {}",
                self.rows.end, examples.n
            )));
        }
        let values = match &self.part {
            Part::Ids => Values::Words(
                (0..examples.t)
                    .flat_map(|t| self.rows.clone().map(move |n| examples.tokens[n * examples.t + t]))
                    .collect(),
            ),
            Part::Inputs => {
                let width = examples.width;
                Values::Numbers(examples.inputs[self.rows.start * width..self.rows.end * width].to_vec())
            }
            Part::Labels => Values::Words(examples.labels[self.rows.clone()].to_vec()),
            Part::Elements(group) => Values::Words(group.of_examples(examples)[self.rows.clone()].to_vec()),
            Part::Numbers(numbers) => Values::Numbers(numbers.clone()),
        };
        Ok((self.buffer, values))
    }
}

/// Makes constant buffers for samples, and remembers what fills them.
#[derive(Debug, Default)]
pub struct Samples {
    /// The buffers made so far.
    pub fills: Vec<Fill>,
}

/// Most samples of one pass that only evaluates: bounds its memory.
pub const BAND: usize = 2048;

/// The bands `n` samples are evaluated in.
pub fn bands(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n.div_ceil(BAND)).map(move |k| k * BAND..n.min((k + 1) * BAND))
}

impl Samples {
    /// The samples `rows` of a source, for a network of this shape.
    pub fn batch(
        &mut self,
        builder: &mut PlanBuilder,
        shape: &ModelShape,
        source: Source,
        rows: Range<usize>,
    ) -> Batch {
        let n = rows.len();
        let name = format!("{source:?}").to_lowercase();
        let mut make = |arena, part: Part, dims: &[usize]| {
            let what = format!("{part:?}").to_lowercase();
            let view = builder.buffer(arena, format!("{name}.{what}.{}", rows.start), dims);
            self.fill(view, source, rows.clone(), part);
            view
        };
        let (ids, inputs) = match shape.input_width() {
            Some(width) => (None, Some(make(Arena::Inputs, Part::Inputs, &[n, width]))),
            None => (Some(make(Arena::Data, Part::Ids, &[shape.n_ctx(), n])), None),
        };
        Batch {
            n,
            ids,
            inputs,
            labels: make(Arena::Data, Part::Labels, &[n]),
        }
    }
    /// Remembers what fills a constant buffer.
    ///
    /// # Panics
    /// If the view is a whole arena.
    pub fn fill(&mut self, view: View, source: Source, rows: Range<usize>, part: Part) {
        let View::Part { buffer, .. } = view else {
            panic!("a constant buffer is a part of an arena")
        };
        self.fills.push(Fill {
            buffer,
            source,
            rows,
            part,
        });
    }
}
