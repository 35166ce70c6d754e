//! Tables of operations on two operands: every pair with its label, in ascending order of (a, b).

use super::Examples;
use super::permutations::Permutations;
use crate::config::{ModelKind, Prompt, TaskConfig, TaskOp};

/// Rows of the table of an operation on pairs; none for other tasks.
pub(super) fn len(config: &TaskConfig) -> Option<usize> {
    let p = config.p as usize;
    match config.op {
        TaskOp::Div => Some(p * (p - 1)),
        TaskOp::S5 => Some(Permutations::COUNT * Permutations::COUNT),
        op if op.is_modular() => Some(p * p),
        _ => None,
    }
}

/// All pairs, with the number of operands, which is that of classes; none for other tasks.
///
/// A pair with a factor 0 belongs to the table of `a * b`; for `a / b`, pairs with b = 0 are absent. A transformer reads
/// the prompt; an MLP reads `a` and `b` only.
pub(super) fn table(config: &TaskConfig, kind: ModelKind) -> Option<(Examples, u32)> {
    let (operands, label) = operation(config)?;
    let divides = config.op == TaskOp::Div;
    let pairs: Vec<(u32, u32)> = (0..operands)
        .flat_map(|a| (u32::from(divides)..operands).map(move |b| (a, b)))
        .collect();
    let (equals, sign) = (operands, operands + 1);
    let prompt = |a: u32, b: u32| match (kind, config.prompt) {
        (ModelKind::Mlp, _) => vec![a, b],
        (ModelKind::Transformer, Prompt::Short) => vec![a, b, equals],
        (ModelKind::Transformer, Prompt::Long) => vec![a, sign, b, equals],
    };
    let examples = Examples {
        tokens: pairs.iter().flat_map(|&(a, b)| prompt(a, b)).collect(),
        inputs: Vec::new(),
        labels: pairs.iter().map(|&(a, b)| label(a, b)).collect(),
        n: pairs.len(),
        t: prompt(0, 0).len(),
        width: 0,
    };
    Some((examples, operands))
}

/// Tokens of the prompt beside the operands.
pub(super) fn special_tokens(config: &TaskConfig, kind: ModelKind) -> usize {
    match (kind, config.prompt) {
        (ModelKind::Mlp, _) => 0,
        (ModelKind::Transformer, Prompt::Short) => 1,
        (ModelKind::Transformer, Prompt::Long) => 2,
    }
}

type Label = Box<dyn Fn(u32, u32) -> u32>;

/// The number of operands and the operation on them.
fn operation(config: &TaskConfig) -> Option<(u32, Label)> {
    let p = u64::from(config.p);
    let modulo = |value: fn(u64, u64, u64) -> u64| -> Option<(u32, Label)> {
        let label = move |a: u32, b: u32| (value(a.into(), b.into(), p) % p) as u32;
        Some((config.p, Box::new(label)))
    };
    match config.op {
        TaskOp::Add => modulo(|a, b, _| a + b),
        TaskOp::Sub => modulo(|a, b, p| a + p - b),
        TaskOp::Mul => modulo(|a, b, _| a * b),
        // Fermat: b^(p - 2) is the inverse of b.
        TaskOp::Div => modulo(|a, b, p| a * power(b, p - 2, p)),
        TaskOp::SumSquares => modulo(|a, b, _| a * a + b * b),
        TaskOp::Quadratic => modulo(|a, b, _| a * a + a * b + b * b),
        TaskOp::S5 => {
            let permutations = Permutations::new();
            let label = move |a, b| permutations.compose(a, b);
            Some((Permutations::COUNT as u32, Box::new(label)))
        }
        TaskOp::Parity | TaskOp::File | TaskOp::Idx | TaskOp::Cifar10 | TaskOp::Cifar100 => None,
    }
}

/// base^exponent mod p.
fn power(mut base: u64, mut exponent: u64, p: u64) -> u64 {
    let mut product = 1 % p;
    while exponent > 0 {
        if exponent % 2 == 1 {
            product = product * base % p;
        }
        base = base * base % p;
        exponent /= 2;
    }
    product
}
