//! Claim 22: a policy a with fitness f grows by juice, da/dt = f ntvar(a), under gradient flow on U = f a.
//!
//! By the product rule da/dt = grad a . grad(f a) = f ntvar(a) + a ntcov(a, f): the second term is absent if f is constant or
//! shares no weights with a, and only then. Measured: the change of a along the numerical gradient of U, by central
//! differences, which know no product rule.

use super::network::{P, Probe, Problem, SAMPLES};
use super::{Check, Claim, Expected, dot, draws, explained, moved};
use crate::analysis::draws::Draws;
use crate::analysis::regression;
use crate::analysis::series::{mean, variance};
use crate::error::Result;

/// Where a policy's fitness comes from.
#[derive(Clone, Copy, PartialEq)]
enum Fitness {
    Constant,
    OtherNetwork,
    SameNetwork,
}

/// Fitness of the constant kind, and reward of an episode.
const REWARD: f64 = 1.7;
/// Networks; every one is measured on all samples.
const NETWORKS: usize = 8;
const EPISODES: usize = 20_000;

/// Tries it.
///
/// # Errors
/// If a regression is degenerate.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut numbers = draws(seed, 22, 0);
    let mut checks = Vec::new();
    let mut predictions = Vec::new();
    for (fitness, name) in [
        (Fitness::Constant, "constant f"),
        (Fitness::OtherNetwork, "f without shared weights"),
        (Fitness::SameNetwork, "f with shared weights"),
    ] {
        let [measured, juice, both] = rates(fitness, &mut numbers);
        let slope = |by: &[f64]| -> Result<f64> { Ok(regression::fit(&[by], &measured)?.coefficients[1]) };
        if fitness == Fitness::SameNetwork {
            predictions.push(Check::new(
                format!("{name}: R^2 by f ntvar(a) alone"),
                Expected::AtMost(0.99),
                explained(&measured, &juice),
            ));
            predictions.push(Check::new(
                format!("{name}: slope on f ntvar(a) + a ntcov(a, f)"),
                Expected::Within(0.99, 1.01),
                slope(&both)?,
            ));
        } else {
            checks.push(Check::new(
                format!("{name}: slope of da/dt on f ntvar(a)"),
                Expected::Within(0.99, 1.01),
                slope(&juice)?,
            ));
        }
    }
    checks.push(Check::new(
        format!("REINFORCE, mean of {EPISODES} episodes: standard errors from f ntvar(a)"),
        Expected::AtMost(3.0),
        episodes(&mut numbers),
    ));
    Ok(Claim::new(
        22,
        "a policy grows by juice: da/dt = f ntvar(a)",
        checks,
        predictions,
    ))
}

/// da/dt as measured, f ntvar(a), and f ntvar(a) + a ntcov(a, f), of every network and sample.
fn rates(fitness: Fitness, numbers: &mut Draws) -> [Vec<f64>; 3] {
    let mut columns = [const { Vec::new() }; 3];
    for _ in 0..NETWORKS {
        let problem = Problem::new(P, numbers);
        let theta = problem.initial(numbers);
        let other = problem.initial(numbers);
        for sample in 0..SAMPLES {
            let policy = Probe::Probability(sample);
            let judge = Probe::Logit(sample, (problem.labels[sample] + 1) % P);
            let a = |theta: &[f64]| policy.value(&problem, theta);
            let f = |theta: &[f64]| match fitness {
                Fitness::Constant => REWARD,
                Fitness::OtherNetwork => judge.value(&problem, &other),
                Fitness::SameNetwork => judge.value(&problem, theta),
            };
            let ascent = numerical_gradient(&theta, &|theta| f(theta) * a(theta));
            let h = 1e-4 / dot(&ascent, &ascent).sqrt().max(1e-6);
            columns[0].push((a(&moved(&theta, h, &ascent)) - a(&moved(&theta, -h, &ascent))) / (2.0 * h));
            let gradient = policy.gradient(&problem, &theta);
            let juice = f(&theta) * dot(&gradient, &gradient);
            columns[1].push(juice);
            let shared = match fitness {
                Fitness::SameNetwork => a(&theta) * dot(&gradient, &judge.gradient(&problem, &theta)),
                _ => 0.0,
            };
            columns[2].push(juice + shared);
        }
    }
    columns
}

fn numerical_gradient(theta: &[f64], of: &dyn Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    let mut place = theta.to_vec();
    (0..theta.len())
        .map(|k| {
            place[k] = theta[k] + h;
            let above = of(&place);
            place[k] = theta[k] - h;
            let below = of(&place);
            place[k] = theta[k];
            (above - below) / (2.0 * h)
        })
        .collect()
}

/// Episodes draw an action from the softmax and are rewarded for the label: the growth of its probability in one ascent
/// on reward times the gradient of the action's log-probability, on average over episodes. In standard errors.
fn episodes(numbers: &mut Draws) -> f64 {
    let problem = Problem::new(P, numbers);
    let theta = problem.initial(numbers);
    let policy = Probe::Probability(0);
    let gradient = policy.gradient(&problem, &theta);
    let z = problem.logits(&theta, 0);
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = z.iter().map(|z| (z - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    // What an episode in which action c is drawn does to the policy.
    let of_action: Vec<f64> = (0..P)
        .map(|c| {
            let reward = if c == problem.labels[0] { REWARD } else { 0.0 };
            let score: Vec<f64> = (0..P)
                .map(|k| f64::from(u8::from(k == c)) - weights[k] / total)
                .collect();
            let mut log_gradient = vec![0.0; theta.len()];
            problem.pull_back(&theta, 0, &score, &mut log_gradient);
            reward * dot(&log_gradient, &gradient)
        })
        .collect();
    let growth: Vec<f64> = (0..EPISODES)
        .map(|_| {
            let mut left = numbers.uniform() * total;
            let drawn = weights.iter().position(|w| {
                left -= w;
                left < 0.0
            });
            of_action[drawn.unwrap_or(P - 1)]
        })
        .collect();
    let error = (variance(&growth) / growth.len() as f64).sqrt();
    (mean(&growth) - REWARD * dot(&gradient, &gradient)).abs() / error
}
