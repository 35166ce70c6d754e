//! Which examples are trained on, and which are tested on.

use crate::config::TaskConfig;
use crate::random::{Permutation, Purpose, Stream};

/// Examples to train on and to test on, of a table of n.
///
/// # Errors
/// Names the key because of which a split is empty or larger than what there is.
pub(crate) fn counts(n: usize, config: &TaskConfig) -> Result<[usize; 2], String> {
    let fraction = config.train_fraction;
    let train = config.train_samples.unwrap_or((fraction * n as f64) as usize);
    let left = n.saturating_sub(train);
    if train == 0 || left == 0 {
        let key = match config.train_samples {
            Some(train) => format!("task.train_samples = {train}"),
            None => format!("task.train_fraction = {fraction}"),
        };
        return Err(format!(
            "{key} leaves {} of {n} examples to train on and {left} to test on, expected at least one each",
            train.min(n)
        ));
    }
    match config.test_samples {
        Some(test) if test > left => Err(format!(
            "task.test_samples = {test}, expected at most the {left} examples that are not trained on"
        )),
        test => Ok([train, test.unwrap_or(left)]),
    }
}

/// Rows of the training and of the test split of one table, both ascending: the first entries of a permutation of the
/// table, and the next.
pub(super) fn one_table(n: usize, [train, test]: [usize; 2], seed: u64) -> [Vec<u32>; 2] {
    let order = Permutation::new(n as u32, Stream::new(seed, Purpose::Split).block(0));
    let mut rest: Vec<u32> = (train..train + test).map(|entry| order.get(entry as u32)).collect();
    rest.sort_unstable();
    [order.subset(train as u32), rest]
}

/// Rows of a table of which all examples belong to one split: all, or a seeded subset.
///
/// # Errors
/// If more are asked for than there are; `key` is how.
pub(super) fn own_table(n: usize, asked: Option<usize>, key: &str, seed: u64, stream: u32) -> Result<Vec<u32>, String> {
    let Some(count) = asked else {
        return Ok((0..n as u32).collect());
    };
    if count > n {
        return Err(format!(
            "{key} = {count}, expected at most the {n} examples of the file"
        ));
    }
    let stream = Stream::new(seed, Purpose::Split).substream(stream);
    Ok(Permutation::new(n as u32, stream.block(0)).subset(count as u32))
}
