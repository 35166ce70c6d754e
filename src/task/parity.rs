//! Sparse parity: random bit strings, labelled by the sum modulo 2 of a few secret bits.

use std::collections::HashSet;

use super::Examples;
use crate::config::{MlpInput, ModelConfig, ModelKind, TaskConfig};
use crate::random::{Permutation, Purpose, Stream};

/// Places of the secret bits, ascending: a seeded subset.
pub(super) fn secret(config: &TaskConfig) -> Vec<u32> {
    let stream = Stream::new(config.seed, Purpose::Examples).substream(1);
    Permutation::new(config.bits, stream.block(0)).subset(config.parity)
}

/// `n` different strings of `task.bits` bits and their parities.
///
/// Strings are uniform draws in the order of their index, repetitions left out, so that none is both trained and tested
/// on. A transformer reads the bits as tokens 0 and 1, then `=` (token 2), whatever the prompt; an MLP reads the tokens of
/// the bits, or with `model.input = "float"` -1 for 0 and 1 for 1.
pub(super) fn strings(config: &TaskConfig, model: &ModelConfig, n: usize) -> Examples {
    let bits = config.bits as usize;
    let secret = secret(config);
    let mask: u64 = secret.iter().map(|place| 1 << place).sum();
    let draws = Stream::new(config.seed, Purpose::Examples);
    let mut seen = HashSet::with_capacity(n);
    let strings: Vec<u64> = (0..)
        .map(|index| draws.bits(index) >> (64 - bits))
        .filter(|string| seen.insert(*string))
        .take(n)
        .collect();
    let bit = |string: u64, place: usize| (string >> place & 1) as u32;
    let labels = strings.iter().map(|string| (string & mask).count_ones() % 2).collect();
    if model.kind == ModelKind::Mlp && model.input == MlpInput::Float {
        let sign = |string: u64| move |place: usize| f64::from(bit(string, place)) * 2.0 - 1.0;
        return Examples {
            tokens: Vec::new(),
            inputs: strings.iter().flat_map(|&s| (0..bits).map(sign(s))).collect(),
            labels,
            n,
            t: 1,
            width: bits,
        };
    }
    let equals = (model.kind == ModelKind::Transformer).then_some(EQUALS);
    Examples {
        tokens: strings
            .iter()
            .flat_map(|&s| (0..bits).map(move |place| bit(s, place)).chain(equals))
            .collect(),
        inputs: Vec::new(),
        labels,
        n,
        t: bits + usize::from(equals.is_some()),
        width: 0,
    }
}

/// The token behind the bits.
const EQUALS: u32 = 2;
