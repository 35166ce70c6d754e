//! What is learnt: the examples of a task, and which of them are trained on.

mod examples;
mod modular;

pub use examples::Examples;

use crate::config::{ModelConfig, TaskConfig};
use crate::error::{Error, Result};
use crate::random::{Permutation, Purpose, Stream};

/// A task: the examples of both splits, each in the order of the whole table.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Examples that are trained on.
    pub train: Examples,
    /// The others.
    pub test: Examples,
    /// Row of each training example in the whole table, ascending; row a * p + b in a modular task.
    pub train_rows: Vec<u32>,
    /// Row of each test example, ascending.
    pub test_rows: Vec<u32>,
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
    /// The task of a configuration: its table or file, split by its seed.
    ///
    /// Training examples are the first `floor(train_fraction * N)` entries of a permutation of the table.
    ///
    /// # Errors
    /// If a key of `[task]` is wrong, a split would be empty, or the data file cannot be used.
    pub fn new(config: &TaskConfig, model: &ModelConfig) -> Result<Self> {
        let (mut table, modulus, d_vocab, d_vocab_out) = match (modular::operation(config.op), &config.file) {
            (Some(op), None) => {
                let (table, d_vocab) = modular::table(config, op, model.kind)?;
                (table, Some(config.p), d_vocab, config.p as usize)
            }
            (None, Some(file)) => {
                let table = Examples::read(file)?;
                let (d_vocab, classes) = (table.d_vocab(), table.classes());
                (table, None, d_vocab, classes)
            }
            (Some(_), Some(file)) => {
                return Err(Error::config(format!(
                    "task.file = {file:?}, expected only with task.op = \"file\""
                )));
            }
            (None, None) => return Err(Error::config("task.op = \"file\" needs task.file")),
        };
        if config.random_labels {
            randomise(&mut table.labels, d_vocab_out, config.seed);
        }
        let (train_rows, test_rows) = split(table.n, config)?;
        Ok(Self {
            train: table.select(&train_rows),
            test: table.select(&test_rows),
            train_rows,
            test_rows,
            modulus,
            d_vocab,
            d_vocab_out,
            n_ctx: table.t,
        })
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

/// Replaces labels by uniform draws. Label `i` is draw `i`, so it depends neither on the split nor on other labels.
fn randomise(labels: &mut [u32], classes: usize, seed: u64) {
    let noise = Stream::new(seed, Purpose::LabelNoise);
    for (i, label) in labels.iter_mut().enumerate() {
        *label = noise.below(i as u64, classes as u32);
    }
}

/// Rows of the training and of the test split, both ascending.
fn split(n: usize, config: &TaskConfig) -> Result<(Vec<u32>, Vec<u32>)> {
    let fraction = config.train_fraction;
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::config(format!(
            "task.train_fraction = {fraction}, expected a number between 0 and 1"
        )));
    }
    let n_train = (fraction * n as f64) as usize;
    if n_train == 0 || n_train == n {
        return Err(Error::config(format!(
            "task.train_fraction = {fraction} leaves {n_train} of {n} examples to train on and {} to test on, expected at least one each",
            n - n_train
        )));
    }
    // Both counts come from at most 2^32 - 1 rows.
    let train = Permutation::new(n as u32, Stream::new(config.seed, Purpose::Split).block(0)).subset(n_train as u32);
    let mut in_train = vec![false; n];
    for &row in &train {
        in_train[row as usize] = true;
    }
    let test = (0..n as u32).filter(|&row| !in_train[row as usize]).collect();
    Ok((train, test))
}
