//! Claim 21: ntcov is bilinear, ntcov(Fx, Gy) = F ntcov(x, y) G^T, and so symmetric and positive semidefinite.
//!
//! The left side is formed by one backward pass through the mixed property, the right side from the gradients of the
//! single ones: they share the network, and differ in where the mixing happens.

use faer::{Mat, Side};

use super::network::{P, PROBES, Probe, Problem, SAMPLES, sigmoid};
use super::{Check, Claim, Expected, dot, draws, moved};
use crate::analysis::draws::Draws;
use crate::error::{Error, Result};

/// Logits (sample, class) that make a vector of properties.
type Logits = Vec<(usize, usize)>;

/// Tries it.
///
/// # Errors
/// If an eigenvalue problem does not converge.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut numbers = draws(seed, 21, 0);
    let problem = Problem::new(P, &mut numbers);
    let theta = problem.trained(&problem.initial(&mut numbers), 0.5, 50);
    let mut worst = 0f64;
    for size in [1, 2, 3, 5, 8, 16] {
        let [x, y]: [Logits; 2] =
            std::array::from_fn(|_| (0..size).map(|_| (numbers.below(SAMPLES), numbers.below(P))).collect());
        let [f, g]: [Vec<Vec<f64>>; 2] = std::array::from_fn(|_| mixing(17 - size, size, &mut numbers));
        worst = worst.max(bilinear(&problem, &theta, [&x, &y], [&f, &g]));
    }
    // Sixteen mixtures of five properties: rank 5, so that eleven eigenvalues are 0 but for rounding.
    let x: Logits = (0..5).map(|_| (numbers.below(SAMPLES), numbers.below(P))).collect();
    let mixed: Vec<Vec<f64>> = mixing(16, 5, &mut numbers)
        .iter()
        .map(|row| mixture(&problem, &theta, &x, row))
        .collect();
    let gram = Mat::from_fn(16, 16, |i, j| dot(&mixed[i], &mixed[j]));
    let eigenvalues = gram
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|e| Error::numeric(format!("eigenvalues of ntcov: {e:?}")))?;
    let trace: f64 = (0..16).map(|i| gram[(i, i)]).sum();
    let mut cosine = 0f64;
    for a in &mixed {
        for b in &mixed {
            cosine = cosine.max(dot(a, b).abs() / (dot(a, a) * dot(b, b)).sqrt());
        }
    }
    Ok(Claim::new(
        21,
        "ntcov(Fx, Gy) = F ntcov(x, y) G^T",
        vec![
            Check::new("largest relative error, sizes 1 to 16", Expected::AtMost(1e-12), worst),
            Check::new(
                "least eigenvalue over the trace, 16 properties of rank 5",
                Expected::AtLeast(-1e-14),
                eigenvalues[0] / trace,
            ),
            Check::new(
                "largest |cosine| (Cauchy and Schwarz)",
                Expected::AtMost(1.0 + 1e-12),
                cosine,
            ),
        ],
        vec![
            Check::new(
                "chain rule ntcov(sigma(x), y) = sigma'(x) ntcov(x, y), relative error by differences",
                Expected::AtMost(1e-6),
                chain_rule(&problem, &theta),
            ),
            Check::new(
                "gradients against central differences, largest relative error",
                Expected::AtMost(1e-6),
                differences(&problem, &theta, &mut numbers),
            ),
        ],
    ))
}

fn mixing(rows: usize, columns: usize, numbers: &mut Draws) -> Vec<Vec<f64>> {
    (0..rows)
        .map(|_| (0..columns).map(|_| numbers.normal()).collect())
        .collect()
}

/// Gradient of sum_k weights_k z_k by one backward pass for each sample.
fn mixture(problem: &Problem, theta: &[f64], logits: &Logits, weights: &[f64]) -> Vec<f64> {
    let mut cotangents = vec![[0.0; P]; SAMPLES];
    for ((sample, c), weight) in logits.iter().zip(weights) {
        cotangents[*sample][*c] += weight;
    }
    let mut gradient = vec![0.0; theta.len()];
    for (sample, cotangent) in cotangents.iter().enumerate() {
        problem.pull_back(theta, sample, cotangent, &mut gradient);
    }
    gradient
}

/// Largest difference of the two sides over the largest magnitude.
fn bilinear(problem: &Problem, theta: &[f64], [x, y]: [&Logits; 2], [f, g]: [&[Vec<f64>]; 2]) -> f64 {
    let gradients = |logits: &Logits| -> Vec<Vec<f64>> {
        let single = logits.iter();
        single
            .map(|(sample, c)| Probe::Logit(*sample, *c).gradient(problem, theta))
            .collect()
    };
    let (gx, gy) = (gradients(x), gradients(y));
    let ntcov: Vec<Vec<f64>> = gx.iter().map(|a| gy.iter().map(|b| dot(a, b)).collect()).collect();
    let (mut error, mut scale) = (0f64, 0f64);
    for f in f {
        let left = mixture(problem, theta, x, f);
        for g in g {
            let mixed = dot(&left, &mixture(problem, theta, y, g));
            let product: f64 = f.iter().zip(&ntcov).map(|(f, row)| f * dot(row, g)).sum();
            error = error.max((mixed - product).abs());
            scale = scale.max(product.abs());
        }
    }
    error / scale
}

fn chain_rule(problem: &Problem, theta: &[f64]) -> f64 {
    let (x, y) = (Probe::LogOdds(3), Probe::MeanLogOdds);
    let direction = y.gradient(problem, theta);
    let h = 1e-5 / dot(&direction, &direction).sqrt();
    let at = |h: f64| sigmoid(x.value(problem, &moved(theta, h, &direction)));
    let measured = (at(h) - at(-h)) / (2.0 * h);
    let s = x.value(problem, theta);
    let expected = sigmoid(s) * sigmoid(-s) * dot(&x.gradient(problem, theta), &direction);
    (measured / expected - 1.0).abs()
}

fn differences(problem: &Problem, theta: &[f64], numbers: &mut Draws) -> f64 {
    let h = 1e-5;
    let mut worst = 0f64;
    for probe in PROBES {
        let gradient = probe.gradient(problem, theta);
        for _ in 0..5 {
            let direction: Vec<f64> = theta.iter().map(|_| numbers.normal()).collect();
            let at = |h: f64| probe.value(problem, &moved(theta, h, &direction));
            let error = (at(h) - at(-h)) / (2.0 * h) - dot(&gradient, &direction);
            worst = worst.max(error.abs() / dot(&gradient, &gradient).sqrt());
        }
    }
    worst
}
