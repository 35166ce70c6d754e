//! The complete table of an operation modulo p.

use super::Examples;
use crate::config::{ModelKind, Prompt, TaskConfig, TaskOp};
use crate::error::{Error, Result};

/// Largest modulus: its table of 16.8 million rows still fits into memory several times.
const MAX_P: u32 = 4096;

/// All p^2 pairs (a, b), row a * p + b, with their label, and the number of tokens.
///
/// Pairs with a factor 0 belong to the table of `a * b`. A transformer reads the prompt; an MLP reads `a` and `b` only.
pub(super) fn table(config: &TaskConfig, op: fn(u64, u64, u64) -> u64, kind: ModelKind) -> Result<(Examples, usize)> {
    let p = config.p;
    if !(2..=MAX_P).contains(&p) {
        return Err(Error::config(format!("task.p = {p}, expected 2 to {MAX_P}")));
    }
    let prompt = |a: u32, b: u32| match (kind, config.prompt) {
        (ModelKind::Mlp, _) => vec![a, b],
        (ModelKind::Transformer, Prompt::Short) => vec![a, b, p],
        (ModelKind::Transformer, Prompt::Long) => vec![a, p + 1, b, p],
    };
    let special_tokens = match (kind, config.prompt) {
        (ModelKind::Mlp, _) => 0,
        (ModelKind::Transformer, Prompt::Short) => 1,
        (ModelKind::Transformer, Prompt::Long) => 2,
    };
    let pairs = || (0..p).flat_map(|a| (0..p).map(move |b| (a, b)));
    let label = |(a, b): (u32, u32)| op(u64::from(a), u64::from(b), u64::from(p)) as u32;
    let examples = Examples {
        tokens: pairs().flat_map(|(a, b)| prompt(a, b)).collect(),
        inputs: Vec::new(),
        labels: pairs().map(label).collect(),
        n: (p * p) as usize,
        t: prompt(0, 0).len(),
        width: 0,
    };
    Ok((examples, (p + special_tokens) as usize))
}

/// The operation, if it is a modular one.
pub(super) fn operation(op: TaskOp) -> Option<fn(u64, u64, u64) -> u64> {
    match op {
        TaskOp::Add => Some(|a, b, p| (a + b) % p),
        TaskOp::Sub => Some(|a, b, p| (a + p - b) % p),
        TaskOp::Mul => Some(|a, b, p| a * b % p),
        TaskOp::File => None,
    }
}
