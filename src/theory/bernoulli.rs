//! Claim 23: ntvar of a probability is proportional to p(1 - p).
//!
//! With log-odds s, grad p = p(1 - p) grad s, so ntvar(p) = [p(1 - p)]^2 |grad s|^2: the plain slope of ln ntvar(p) on
//! ln p(1 - p) is 2 at constant |grad s|. In the Fisher metric of the one Bernoulli, grad p^T F^+ grad p = p(1 - p): the claim
//! holds there. Here grad p is the softmax's own p_y (e_y - p), and F the mean outer product of the scores of "y" and
//! "not y", neither of them formed from grad s.

use super::network::{P, Problem, SAMPLES, TRAINED, sigmoid};
use super::{Check, Claim, Expected, dot, draws, moved};
use crate::analysis::regression::{self, Fit};
use crate::error::Result;

/// ln p(1 - p), ln ntvar(p), ln |grad s|^2 and ln grad p^T F^+ grad p of every checkpoint and sample.
type Columns = [Vec<f64>; 4];

/// Tries it.
///
/// # Errors
/// If a regression is degenerate.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut checks = Vec::new();
    let mut predictions = Vec::new();
    for (part, outputs, head) in [(0, P, "softmax"), (1, 1, "sigmoid")] {
        let [spread, ntvar, offset, fisher] = checkpoints(seed, part, outputs);
        let slope = |y: &[f64]| -> Result<Fit> { regression::fit(&[&spread], y) };
        let plain = slope(&ntvar)?;
        let (low, high) = plain.interval(1, 0.95);
        checks.push(Check::new(
            format!("{head}: slope of ln ntvar(p) on ln p(1-p), lower end of the 95 % interval"),
            Expected::AtMost(1.0),
            low,
        ));
        checks.push(Check::new(
            format!("{head}: the same, upper end"),
            Expected::AtLeast(1.0),
            high,
        ));
        let without: Vec<f64> = ntvar.iter().zip(&offset).map(|(v, o)| v - o).collect();
        predictions.push(Check::new(
            format!("{head}: slope with ln |grad s|^2 as offset"),
            Expected::Within(2.0 - 1e-9, 2.0 + 1e-9),
            slope(&without)?.coefficients[1],
        ));
        predictions.push(Check::new(
            format!("{head}: slope in the Fisher metric"),
            Expected::Within(1.0 - 1e-6, 1.0 + 1e-6),
            slope(&fisher)?.coefficients[1],
        ));
    }
    Ok(Claim::new(
        23,
        "ntvar(a) is proportional to p(1 - p)",
        checks,
        predictions,
    ))
}

fn checkpoints(seed: u64, part: u32, outputs: usize) -> Columns {
    let mut numbers = draws(seed, 23, part);
    let problem = Problem::new(outputs, &mut numbers);
    let mut theta = problem.initial(&mut numbers);
    let mut columns = [const { Vec::new() }; 4];
    for _ in 0..30 {
        theta = if outputs == 1 {
            ascend(&problem, &theta)
        } else {
            problem.trained(&theta, 0.5, 20)
        };
        for sample in 0..SAMPLES {
            let (s, _) = problem.log_odds(&theta, sample);
            let (p, q) = (sigmoid(s), sigmoid(-s));
            let mut gradient = vec![0.0; theta.len()];
            problem.pull_back(&theta, sample, &probability(&problem, &theta, sample), &mut gradient);
            let of_s = problem.log_odds_gradient(&theta, sample);
            columns[0].push((p * q).ln());
            columns[1].push(dot(&gradient, &gradient).ln());
            columns[2].push(dot(&of_s, &of_s).ln());
            columns[3].push(natural(&gradient, p, q).ln());
        }
    }
    columns
}

/// Derivatives of p by the logits.
fn probability(problem: &Problem, theta: &[f64], sample: usize) -> Vec<f64> {
    let z = problem.logits(theta, sample);
    if let [z] = z[..] {
        return vec![sigmoid(z) * sigmoid(-z)];
    }
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = z.iter().map(|z| (z - top).exp()).collect();
    let total: f64 = exps.iter().sum();
    let label = problem.labels[sample];
    let others: f64 = exps
        .iter()
        .enumerate()
        .filter(|(c, _)| *c != label)
        .map(|(_, e)| e)
        .sum();
    let p = exps[label] / total;
    (0..z.len())
        // 1 - p_y as the sum of the others, which does not cancel.
        .map(|c| {
            if c == label {
                p * others / total
            } else {
                -p * exps[c] / total
            }
        })
        .collect()
}

/// v^T F^+ v for v = grad p: F = B B^T with the columns sqrt(p) grad ln p and sqrt(1-p) grad ln(1-p), and
/// F^+ = B (B^T B)^{+2} B^T. B^T B is 2x2 and of rank one, with eigenvalue its trace.
fn natural(v: &[f64], p: f64, q: f64) -> f64 {
    let columns: [Vec<f64>; 2] = [p.sqrt() / p, -q.sqrt() / q].map(|scale| v.iter().map(|x| scale * x).collect());
    let gram = |i: usize, j: usize| dot(&columns[i], &columns[j]);
    let trace = gram(0, 0) + gram(1, 1);
    let product = columns.each_ref().map(|column| dot(column, v));
    // Along the eigenvector of the trace, which B^T v lies in.
    (product[0].powi(2) + product[1].powi(2)) / trace.powi(2)
}

/// Some steps of a sigmoid head towards 1 on the trained samples with an even label and towards 0 on the others.
fn ascend(problem: &Problem, theta: &[f64]) -> Vec<f64> {
    (0..20).fold(theta.to_vec(), |theta, _| {
        let mut gradient = vec![0.0; theta.len()];
        for sample in 0..TRAINED {
            let (s, _) = problem.log_odds(&theta, sample);
            let towards = if problem.labels[sample].is_multiple_of(2) {
                sigmoid(-s)
            } else {
                -sigmoid(s)
            };
            problem.pull_back(&theta, sample, &[towards / TRAINED as f64], &mut gradient);
        }
        moved(&theta, 0.5, &gradient)
    })
}
