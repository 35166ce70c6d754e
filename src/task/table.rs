//! All examples that a task has, before they are split.

use super::images::{self, Images};
use super::{Examples, pairs, parity};
use crate::config::{Files, ModelConfig, TaskConfig, TaskOp};
use crate::error::{Error, Result};

/// Examples, or images that become examples where they are chosen: as real numbers they take eight times the memory.
pub(super) enum Table {
    Examples(Examples),
    Images(Images),
}

impl Table {
    /// The table that is trained on, and split where the test examples have no file; with the number of its tokens.
    pub fn new(config: &TaskConfig, model: &ModelConfig) -> Result<(Self, usize)> {
        if let Some((table, operands)) = pairs::table(config, model.kind) {
            let tokens = operands as usize + pairs::special_tokens(config, model.kind);
            return Ok((Self::Examples(table), tokens));
        }
        let table = match super::table_len(config) {
            Some(strings) => Self::Examples(parity::strings(config, model, strings)),
            None => Self::read(config.op, &config.file)?,
        };
        let tokens = table.d_vocab();
        Ok((table, tokens))
    }

    /// The table of `task.test_file`.
    pub fn of_test_file(config: &TaskConfig) -> Result<Option<Self>> {
        (!config.test_file.is_empty())
            .then(|| Self::read(config.op, &config.test_file))
            .transpose()
    }

    fn read(op: TaskOp, files: &Files) -> Result<Self> {
        Ok(match (op, &files.0[..]) {
            (TaskOp::Idx, [images, labels]) => Self::Images(images::idx(images, labels)?),
            (TaskOp::Cifar10 | TaskOp::Cifar100, batches) => Self::Images(images::cifar(op, batches)?),
            (_, [file, ..]) => Self::Examples(Examples::read(file)?),
            (_, []) => return Err(Error::config(format!("task.op = {:?} needs task.file", op.name()))),
        })
    }

    /// Whether the test examples have inputs like those that are trained on.
    pub fn check_like(&self, train: &Self, config: &TaskConfig) -> Result<()> {
        if self.columns() == train.columns() {
            return Ok(());
        }
        let words = |(real, columns): (bool, usize)| {
            let what = if real { "real inputs" } else { "tokens" };
            format!("{columns} columns of {what}")
        };
        Err(Error::config(format!(
            "task.test_file = {} has {}, expected {} as task.file has",
            config.test_file,
            words(self.columns()),
            words(train.columns())
        )))
    }

    /// Whether inputs are real, and how many an example has.
    fn columns(&self) -> (bool, usize) {
        match self {
            Self::Examples(x) if x.is_real() => (true, x.width),
            Self::Examples(x) => (false, x.t),
            Self::Images(x) => (true, x.width),
        }
    }

    /// Examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Examples(x) => x.n,
            Self::Images(x) => x.labels.len(),
        }
    }

    /// The largest token plus one; 0 for real inputs.
    pub fn d_vocab(&self) -> usize {
        match self {
            Self::Examples(x) => x.d_vocab(),
            Self::Images(_) => 0,
        }
    }

    /// The largest label plus one.
    pub fn classes(&self) -> usize {
        let labels = match self {
            Self::Examples(x) => &x.labels,
            Self::Images(x) => &x.labels,
        };
        labels.iter().max().map_or(0, |&x| x as usize + 1)
    }

    pub fn labels_mut(&mut self) -> &mut [u32] {
        match self {
            Self::Examples(x) => &mut x.labels,
            Self::Images(x) => &mut x.labels,
        }
    }

    /// These rows, in this order.
    pub fn select(&self, rows: &[u32]) -> Examples {
        match self {
            Self::Examples(x) => x.select(rows),
            Self::Images(x) => x.select(rows),
        }
    }
}
