//! What is learnt: the examples of a task, and which of them are trained on.

mod cyclic;
mod examples;
mod file;
mod images;
mod labels;
mod pairs;
mod parity;
mod permutations;
mod split;
mod table;

pub use cyclic::Cyclic;
pub use examples::Examples;

pub(crate) use split::counts;

use crate::config::{ModelConfig, TaskConfig, TaskOp};
use crate::error::{Error, Result};
use crate::random::{Permutation, Purpose, Stream};
use permutations::Permutations;
use table::Table;

/// A task: the examples of both splits, each in the order of its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Examples that are trained on.
    pub train: Examples,
    /// Those that are tested on.
    pub test: Examples,
    /// Row of each training example in the whole table, ascending. Pairs (a, b) stand in ascending order: row a * p + b of
    /// a modular task other than `div`.
    pub train_rows: Vec<u32>,
    /// Row of each test example, ascending; of its own table where the test examples have a file of their own.
    pub test_rows: Vec<u32>,
    /// Places in the training split whose labels `task.label_noise` replaced, ascending.
    pub noisy: Vec<u32>,
    /// Places of the bits that the labels of a parity task depend on, ascending; none in other tasks.
    pub secret_bits: Vec<u32>,
    /// Modulus of a modular task.
    pub modulus: Option<u32>,
    /// Input tokens; 0 where the inputs are real vectors.
    pub d_vocab: usize,
    /// Classes.
    pub d_vocab_out: usize,
    /// Tokens of an example; 1 where the inputs are real vectors.
    pub n_ctx: usize,
}

impl Task {
    /// The task of a configuration: its table or files, split by its seed.
    ///
    /// Training examples are the first entries of a seeded permutation of the table, `floor(train_fraction * N)` or
    /// `train_samples` of them; test examples are all others, or the next `test_samples`. Where the test examples have a
    /// file of their own, both files are taken whole, or seeded subsets of `train_samples` and `test_samples`.
    ///
    /// # Errors
    /// If a key of `[task]` is wrong, a split would be empty, or a data file cannot be used.
    pub fn new(config: &TaskConfig, model: &ModelConfig) -> Result<Self> {
        config.check()?;
        let seed = config.seed;
        let (mut table, d_vocab) = Table::new(config, model)?;
        let mut test = Table::of_test_file(config)?;
        if let Some(test) = &test {
            test.check_like(&table, config)?;
        }
        let d_vocab = d_vocab.max(test.as_ref().map_or(0, Table::d_vocab));
        let found = table.classes().max(test.as_ref().map_or(0, Table::classes));
        let d_vocab_out = classes(config).unwrap_or(found);
        let n = table.len();
        if config.random_labels {
            labels::randomise(table.labels_mut(), 0, d_vocab_out, seed);
            if let Some(test) = &mut test {
                labels::randomise(test.labels_mut(), n, d_vocab_out, seed);
            }
        }
        let [train_rows, test_rows] = match &test {
            Some(test) => [
                split::own_table(n, config.train_samples, "task.train_samples", seed, 1),
                split::own_table(test.len(), config.test_samples, "task.test_samples", seed, 2),
            ]
            .map(|rows| rows.map_err(Error::config)),
            None => {
                let counts = counts(n, config).map_err(Error::config)?;
                split::one_table(n, counts, seed).map(Ok)
            }
        };
        let (train_rows, test_rows) = (train_rows?, test_rows?);
        let mut train = table.select(&train_rows);
        let noisy = labels::add_noise(&mut train.labels, config.label_noise, d_vocab_out, seed)?;
        Ok(Self {
            n_ctx: train.t,
            train,
            test: test.as_ref().unwrap_or(&table).select(&test_rows),
            train_rows,
            test_rows,
            noisy,
            secret_bits: match config.op {
                TaskOp::Parity => parity::secret(config),
                _ => Vec::new(),
            },
            modulus: config.op.is_modular().then_some(config.p),
            d_vocab,
            d_vocab_out,
        })
    }
}

/// Rows of a task's table; unknown before a data file is read.
pub(crate) fn table_len(config: &TaskConfig) -> Option<usize> {
    match config.op {
        TaskOp::Parity => Some(config.train_samples?.saturating_add(config.test_samples?)),
        _ => pairs::len(config),
    }
}

/// Classes of a task; unknown before a file that does not fix them is read.
pub(crate) fn classes(config: &TaskConfig) -> Option<usize> {
    match config.op {
        TaskOp::S5 => Some(Permutations::COUNT),
        TaskOp::Parity => Some(2),
        TaskOp::Cifar10 => Some(10),
        TaskOp::Cifar100 => Some(100),
        TaskOp::File | TaskOp::Idx => None,
        _ => Some(config.p as usize),
    }
}

/// Sorted indices of a fixed seeded subset of the training split: all of it where `count >= n_train`.
///
/// # Panics
/// If `n_train` does not fit into 32 bits, which no task's does.
pub fn gram_subset(n_train: usize, count: usize, seed: u64) -> Vec<u32> {
    let n = u32::try_from(n_train).expect("a task has fewer than 2^32 examples");
    let count = u32::try_from(count).unwrap_or(n).min(n);
    Permutation::new(n, Stream::new(seed, Purpose::GramSubset).block(0)).subset(count)
}
