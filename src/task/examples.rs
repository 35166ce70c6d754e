//! Inputs and labels, made by a task or read from a file.

use std::path::Path;

use crate::error::{Error, Result};
use crate::model::ModelShape;
use crate::tensor_file::{TensorFile, read_bytes};

/// N examples: tokens or real vectors, with one label each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Examples {
    /// `[N, T]` row-major; empty where the inputs are real vectors.
    pub tokens: Vec<u32>,
    /// `[N, width]` row-major; empty where the inputs are tokens.
    pub inputs: Vec<f64>,
    /// `[N]`
    pub labels: Vec<u32>,
    /// N.
    pub n: usize,
    /// T: tokens of an example; 1 where the inputs are real vectors.
    pub t: usize,
    /// Length of a real input vector; 0 where the inputs are tokens.
    pub width: usize,
}

impl Examples {
    /// Reads `labels [N]` and either `tokens [N, T]` or `inputs [N, d]` from a safetensors file.
    ///
    /// # Errors
    /// If the file is not that; the message names the file and the tensor.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_bytes(path)?;
        let file = TensorFile::parse(path, &bytes)?;
        let (name, axes, real) = match (file.contains("tokens"), file.contains("inputs")) {
            (true, false) => ("tokens", "[N, T]", false),
            (false, true) => ("inputs", "[N, d]", true),
            (true, true) => return Err(file.error("has both tokens and inputs, expected one of them")),
            (false, false) => return Err(file.error("has no tensor tokens [N, T] or inputs [N, d]")),
        };
        let [n, columns] = file.dims(name, axes)?;
        let [labels] = file.dims("labels", "[N]")?;
        if labels != n {
            return Err(file.error(format!("has {n} rows of {name} but {labels} labels")));
        }
        if n == 0 || columns == 0 || u32::try_from(n).is_err() {
            return Err(file.error(format!(
                "{name} has shape [{n}, {columns}], expected 1 to 2^32 - 1 rows of at least one column"
            )));
        }
        Ok(Self {
            tokens: if real { Vec::new() } else { file.integers(name)? },
            inputs: if real { file.floats(name)? } else { Vec::new() },
            labels: file.integers("labels")?,
            n,
            t: if real { 1 } else { columns },
            width: if real { columns } else { 0 },
        })
    }

    /// Whether the inputs are real vectors.
    pub fn is_real(&self) -> bool {
        self.width > 0
    }

    /// Tokens these examples need: the largest plus one; 0 where the inputs are real vectors.
    pub fn d_vocab(&self) -> usize {
        self.tokens.iter().max().map_or(0, |&x| x as usize + 1)
    }

    /// Classes these examples need: the largest label plus one.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&x| x as usize + 1)
    }

    /// Whether a network of this shape can take these examples, which came from `path`.
    ///
    /// # Errors
    /// If not: other inputs, another length, or a token or label out of its range.
    pub fn check_against(&self, shape: &ModelShape, path: impl AsRef<Path>) -> Result<()> {
        let fail = |reason: String| Err(Error::io(&path, reason));
        match (self.is_real(), shape.input_width()) {
            (true, None) => return fail("has real inputs, but the network takes tokens".to_owned()),
            (false, Some(_)) => return fail("has tokens, but the network takes real inputs".to_owned()),
            (true, Some(width)) if width != self.width => {
                return fail(format!("inputs have {} columns, the network takes {width}", self.width));
            }
            (false, None) if shape.n_ctx() != self.t => {
                return fail(format!(
                    "tokens have {} columns, the network takes {}",
                    self.t,
                    shape.n_ctx()
                ));
            }
            _ => {}
        }
        if let Some(i) = self.tokens.iter().position(|&x| x as usize >= shape.d_vocab()) {
            return fail(format!(
                "tokens[{}, {}] is {}, the network's vocabulary has {}",
                i / self.t,
                i % self.t,
                self.tokens[i],
                shape.d_vocab()
            ));
        }
        if let Some(i) = self.labels.iter().position(|&x| x as usize >= shape.classes()) {
            return fail(format!(
                "labels[{i}] is {}, the network has {} classes",
                self.labels[i],
                shape.classes()
            ));
        }
        Ok(())
    }

    /// These rows, in this order.
    pub fn select(&self, rows: &[u32]) -> Self {
        Self {
            tokens: select_rows(&self.tokens, rows, self.t),
            inputs: select_rows(&self.inputs, rows, self.width),
            labels: rows.iter().map(|&row| self.labels[row as usize]).collect(),
            n: rows.len(),
            t: self.t,
            width: self.width,
        }
    }

    /// These, and behind them others of the same kind.
    pub fn followed_by(&self, others: &Self) -> Self {
        Self {
            tokens: [&self.tokens[..], &others.tokens].concat(),
            inputs: [&self.inputs[..], &others.inputs].concat(),
            labels: [&self.labels[..], &others.labels].concat(),
            n: self.n + others.n,
            t: self.t,
            width: self.width,
        }
    }
}

fn select_rows<T: Copy>(data: &[T], rows: &[u32], width: usize) -> Vec<T> {
    if data.is_empty() {
        return Vec::new();
    }
    rows.iter()
        .flat_map(|&row| &data[row as usize * width..][..width])
        .copied()
        .collect()
}
