//! Claim 26: the covariance of a population plays the part of the G-matrix.
//!
//! A cloud of weights w = theta + s xi, Cov xi = C, is selected by the fitness 1 + lr (U - mean U)/s^2. By Price's equation the
//! mean of a property x then moves by lr Cov(x, U)/s^2, and the breeder's equation says: by lr grad x^T C grad U. The two agree
//! for the covariance that the cloud had, as s -> 0 (Stein).
//!
//! Then, of four fixed C, each with one fitted factor, which one predicts what AdamW really does? Fitted on the first half
//! of a run and judged on the second.

use faer::{Mat, Side};
use rayon::prelude::*;

use super::network::{P, PROBES, Probe, Problem, SAMPLES, TRAINED};
use super::{Check, Claim, Expected, dot, draws, moved};
use crate::analysis::draws::Draws;
use crate::analysis::regression;
use crate::error::{Error, Result};

/// Pairs theta + s xi, theta - s xi.
const PAIRS: u32 = 25_000;
/// Pairs whose sums are formed one after the other.
const BLOCK: u32 = 250;
const STEPS: usize = 400;

/// Tries it.
///
/// # Errors
/// If an eigenvalue problem does not converge, or a regression is degenerate.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut numbers = draws(seed, 26, 0);
    let problem = Problem::new(P, &mut numbers);
    let run = Run::new(&problem, &problem.initial(&mut numbers));
    let middle = &run.thetas[STEPS / 2];
    let mut checks = Vec::new();
    let mut predictions = Vec::new();
    let mut held_out = Vec::new();
    for (part, (name, matrix)) in matrices(&problem, &run)?.into_iter().enumerate() {
        let [real, predicted] = breed(&problem, middle, &matrix, seed, 1 + part as u32);
        checks.push(Check::new(
            format!("cloud with covariance {name}: slope of the real response on the breeder's"),
            Expected::Within(0.95, 1.05),
            regression::fit(&[&predicted], &real)?.coefficients[1],
        ));
        let r2 = run.held_out(&problem, &matrix);
        predictions.push(Check::new(
            format!("AdamW by fixed G = {name}: R^2 on the second half"),
            Expected::Any,
            r2,
        ));
        held_out.push(r2);
    }
    let others = [held_out[0], held_out[2], held_out[3]];
    predictions.push(Check::new(
        "R^2 of Adam's metric less that of the best other",
        Expected::AtLeast(0.0),
        held_out[1] - others.into_iter().fold(f64::NEG_INFINITY, f64::max),
    ));
    Ok(Claim::new(
        26,
        "the covariance of a population plays the part of the G-matrix",
        checks,
        predictions,
    ))
}

/// A covariance by a root: C = B B^T, rows of B of any number of columns.
struct Root(Vec<Vec<f64>>);

impl Root {
    /// C v
    fn times(&self, v: &[f64]) -> Vec<f64> {
        let columns = self.0[0].len();
        let mut inner = vec![0.0; columns];
        for (row, v) in self.0.iter().zip(v) {
            for (sum, b) in inner.iter_mut().zip(row) {
                *sum += b * v;
            }
        }
        self.0.iter().map(|row| dot(row, &inner)).collect()
    }

    /// A normal vector of this covariance.
    fn draw(&self, numbers: &mut Draws) -> Vec<f64> {
        let z: Vec<f64> = (0..self.0[0].len()).map(|_| numbers.normal()).collect();
        self.0.iter().map(|row| dot(row, &z)).collect()
    }

    fn trace(&self) -> f64 {
        self.0.iter().map(|row| dot(row, row)).sum()
    }
}

/// I, Adam's metric over the first half of the run, the covariance of the samples' gradients in its middle, and the damped
/// inverse of their second moment there (the empirical Fisher matrix).
fn matrices(problem: &Problem, run: &Run) -> Result<[(&'static str, Root); 4]> {
    let n = problem.parameters();
    let diagonal = |of: &dyn Fn(usize) -> f64| -> Root {
        Root(
            (0..n)
                .map(|i| (0..n).map(|j| if i == j { of(i).sqrt() } else { 0.0 }).collect())
                .collect(),
        )
    };
    let middle = &run.thetas[STEPS / 2];
    let gradients: Vec<Vec<f64>> = (0..TRAINED).map(|k| problem.loss_gradient(middle, &[k])).collect();
    let average = problem.loss_gradient(middle, &(0..TRAINED).collect::<Vec<_>>());
    let noise = (0..n)
        .map(|i| {
            gradients
                .iter()
                .map(|g| (g[i] - average[i]) / (TRAINED as f64).sqrt())
                .collect()
        })
        .collect();
    let fisher = Mat::from_fn(n, n, |i, j| {
        gradients.iter().map(|g| g[i] * g[j]).sum::<f64>() / TRAINED as f64
    });
    let eigen = fisher
        .self_adjoint_eigen(Side::Lower)
        .map_err(|e| Error::numeric(format!("eigenvectors of the Fisher matrix: {e:?}")))?;
    let (u, l) = (eigen.U(), eigen.S());
    // A hundredth of the largest eigenvalue, below which directions are not told from noise.
    let damping = l[n - 1] / 100.0;
    let inverse = (0..n)
        .map(|i| (0..n).map(|k| u[(i, k)] / (l[k].max(0.0) + damping).sqrt()).collect())
        .collect();
    Ok([
        ("I", diagonal(&|_| 1.0)),
        ("M (Adam)", diagonal(&|i| run.metric[i])),
        ("Sigma", Root(noise)),
        ("F^-1", Root(inverse)),
    ])
}

/// Real and predicted response of every logit, over lr.
fn breed(problem: &Problem, theta: &[f64], root: &Root, seed: u64, part: u32) -> [Vec<f64>; 2] {
    let all: Vec<usize> = (0..TRAINED).collect();
    let s = 1e-3 / (root.trace() / theta.len() as f64).sqrt();
    let values = |theta: &[f64]| -> (Vec<f64>, f64) {
        let logits: Vec<f64> = (0..SAMPLES).flat_map(|k| problem.logits(theta, k)).collect();
        let loss = |k: &usize| {
            let odds = problem.log_odds(theta, *k).0;
            (-odds.abs()).exp().ln_1p() + (-odds).max(0.0)
        };
        (logits, -all.iter().map(loss).sum::<f64>() / TRAINED as f64)
    };
    // Blocks of fixed size, summed in order: the same bits with any number of threads.
    let blocks: Vec<Vec<f64>> = (0..PAIRS / BLOCK)
        .into_par_iter()
        .map(|block| {
            let mut numbers = draws(seed, 26, 100 * part + block);
            let mut sums = vec![0.0; SAMPLES * P];
            for _ in 0..BLOCK {
                let xi = root.draw(&mut numbers);
                let (above, u_above) = values(&moved(theta, s, &xi));
                let (below, u_below) = values(&moved(theta, -s, &xi));
                // Antithetic pairs: the even part of both drops out of the covariance.
                for ((sum, a), b) in sums.iter_mut().zip(above).zip(below) {
                    *sum += (a - b) * (u_above - u_below) / (4.0 * s * s);
                }
            }
            sums
        })
        .collect();
    let mut real = vec![0.0; SAMPLES * P];
    for block in blocks {
        real = moved(&real, 1.0 / f64::from(PAIRS), &block);
    }
    let ascent: Vec<f64> = problem.loss_gradient(theta, &all).iter().map(|g| -g).collect();
    let response = root.times(&ascent);
    let predicted = (0..SAMPLES * P)
        .map(|k| dot(&Probe::Logit(k / P, k % P).gradient(problem, theta), &response))
        .collect();
    [real, predicted]
}

/// A run of AdamW.
struct Run {
    /// Weights before every step, and after the last.
    thetas: Vec<Vec<f64>>,
    /// Mean of 1/(sqrt(v) + eps) over the first half.
    metric: Vec<f64>,
}

impl Run {
    fn new(problem: &Problem, theta: &[f64]) -> Self {
        let (lr, decay, beta1, beta2, eps) = (1e-3, 1.0, 0.9f64, 0.98f64, 1e-8);
        let n = theta.len();
        let (mut m, mut v, mut metric) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let mut thetas = vec![theta.to_vec()];
        let all: Vec<usize> = (0..TRAINED).collect();
        for step in 0..STEPS {
            let gradient = problem.loss_gradient(&thetas[step], &all);
            let (first, second) = (1.0 - beta1.powi(step as i32 + 1), 1.0 - beta2.powi(step as i32 + 1));
            let mut next = thetas[step].clone();
            for k in 0..n {
                m[k] = beta1 * m[k] + (1.0 - beta1) * gradient[k];
                v[k] = beta2 * v[k] + (1.0 - beta2) * gradient[k] * gradient[k];
                let scale = 1.0 / ((v[k] / second).sqrt() + eps);
                next[k] -= lr * (scale * m[k] / first + decay * next[k]);
                if step < STEPS / 2 {
                    metric[k] += scale / (STEPS / 2) as f64;
                }
            }
            thetas.push(next);
        }
        Self { thetas, metric }
    }

    /// R^2 on the second half of c ntcov_G(x, U), c fitted on the first; every property scaled to unit mean square of its
    /// changes in the first half.
    fn held_out(&self, problem: &Problem, root: &Root) -> f64 {
        let all: Vec<usize> = (0..TRAINED).collect();
        let (mut fitted, mut judged) = (Vec::new(), Vec::new());
        let responses: Vec<Vec<f64>> = self.thetas[..STEPS]
            .par_iter()
            .map(|theta| root.times(&problem.loss_gradient(theta, &all)))
            .collect();
        for probe in PROBES {
            let pairs: Vec<(f64, f64)> = (0..STEPS)
                .map(|step| {
                    let theta = &self.thetas[step];
                    let change = probe.value(problem, &self.thetas[step + 1]) - probe.value(problem, theta);
                    (change, -dot(&probe.gradient(problem, theta), &responses[step]))
                })
                .collect();
            let (first, second) = pairs.split_at(STEPS / 2);
            let scale = (first.iter().map(|(change, _)| change * change).sum::<f64>() / first.len() as f64).sqrt();
            fitted.extend(first.iter().map(|(a, b)| (a / scale, b / scale)));
            judged.extend(second.iter().map(|(a, b)| (a / scale, b / scale)));
        }
        let factor = fitted.iter().map(|(a, b)| a * b).sum::<f64>() / fitted.iter().map(|(_, b)| b * b).sum::<f64>();
        let (measured, predicted): (Vec<f64>, Vec<f64>) = judged.into_iter().map(|(a, b)| (a, factor * b)).unzip();
        super::explained(&measured, &predicted)
    }
}
