//! Claim 20: under gradient flow on a utility U, dx/dt = ntcov(x, U).
//!
//! A step of gradient descent is dx = lr ntcov(x, U) + lr^2/2 grad U^T H_x grad U + …, so what the first term leaves falls
//! as lr^2. Along the flow itself x(T) - x(0) is the integral of ntcov(x, U).

use super::network::{P, PROBES, Probe, Problem, TRAINED};
use super::{Check, Claim, Expected, dot, draws, explained, moved};
use crate::analysis::regression;
use crate::error::Result;

const RATES: [f64; 6] = [1e-2, 3.16e-3, 1e-3, 3.16e-4, 1e-4, 1e-5];

/// Tries it.
///
/// # Errors
/// If a regression is degenerate.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut numbers = draws(seed, 20, 0);
    let problem = Problem::new(P, &mut numbers);
    let start = problem.initial(&mut numbers);
    let samples: Vec<usize> = (0..TRAINED).collect();
    let utility = |theta: &[f64]| -> Vec<f64> { problem.loss_gradient(theta, &samples).iter().map(|g| -g).collect() };
    let points: Vec<Vec<f64>> = (0..20).map(|k| problem.trained(&start, 0.5, 10 * k)).collect();

    let mut slopes: Vec<f64> = Vec::new();
    let (mut changes, mut products) = (Vec::new(), Vec::new());
    for probe in PROBES {
        let mut left = [0.0; RATES.len()];
        for theta in &points {
            let ascent = utility(theta);
            let ntcov = dot(&probe.gradient(&problem, theta), &ascent);
            let before = probe.value(&problem, theta);
            for (lr, left) in RATES.iter().zip(&mut left) {
                let change = probe.value(&problem, &moved(theta, *lr, &ascent)) - before;
                *left += (change - lr * ntcov).powi(2);
                if *lr == RATES[RATES.len() - 1] {
                    changes.push(change / lr);
                    products.push(ntcov);
                }
            }
        }
        // The smallest rate is left out of the slope: rounding is part of it there.
        let logs = |values: &[f64]| values.iter().map(|x| x.ln()).collect::<Vec<f64>>();
        let used = RATES.len() - 1;
        let root: Vec<f64> = left[..used].iter().map(|x| x.sqrt()).collect();
        slopes.push(regression::fit(&[&logs(&RATES[..used])], &logs(&root))?.coefficients[1]);
    }
    let worst = slopes.iter().map(|slope| (slope - 2.0).abs()).fold(0.0, f64::max);
    let r2 = explained(&changes, &products);
    Ok(Claim::new(
        20,
        "under gradient flow dx/dt = ntcov(x, U)",
        vec![
            Check::new(
                "R^2 of dx/lr by ntcov(x, U) at lr = 1e-5",
                Expected::AtLeast(0.9999),
                r2,
            ),
            Check::new(
                "largest |slope - 2| of ln |dx - lr ntcov| against ln lr",
                Expected::AtMost(0.05),
                worst,
            ),
            Check::new(
                "relative error of x(T) - x(0) by the integral of ntcov (RK4, worst property)",
                Expected::AtMost(1e-6),
                integral(&problem, &start, &utility),
            ),
        ],
        Vec::new(),
    ))
}

/// Largest relative difference between the change along the flow up to T = 4 and Simpson's integral of ntcov.
fn integral(problem: &Problem, start: &[f64], utility: &dyn Fn(&[f64]) -> Vec<f64>) -> f64 {
    let (steps, h) = (200, 0.02);
    let mut theta = start.to_vec();
    let mut sums = [0.0; PROBES.len()];
    for k in 0..=steps {
        let ascent = utility(&theta);
        let weight = match k {
            0 => 1.0,
            k if k == steps => 1.0,
            k if k % 2 == 1 => 4.0,
            _ => 2.0,
        };
        for (sum, probe) in sums.iter_mut().zip(PROBES) {
            *sum += weight * h / 3.0 * dot(&probe.gradient(problem, &theta), &ascent);
        }
        if k < steps {
            theta = runge_kutta(&theta, h, utility);
        }
    }
    let change = |probe: Probe| probe.value(problem, &theta) - probe.value(problem, start);
    let errors = sums
        .iter()
        .zip(PROBES)
        .map(|(sum, probe)| (sum / change(probe) - 1.0).abs());
    errors.fold(0.0, f64::max)
}

/// One classical step of d theta/dt = field(theta).
pub(super) fn runge_kutta(theta: &[f64], h: f64, field: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let first = field(theta);
    let second = field(&moved(theta, h / 2.0, &first));
    let third = field(&moved(theta, h / 2.0, &second));
    let fourth = field(&moved(theta, h, &third));
    let mut next = theta.to_vec();
    for (weight, slope) in [(1.0, &first), (2.0, &second), (2.0, &third), (1.0, &fourth)] {
        next = moved(&next, weight * h / 6.0, slope);
    }
    next
}
