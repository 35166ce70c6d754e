//! Claim 24: what is improbable grows slowly.
//!
//! Under flow on the reward `E[r]` = f p the log-odds move by ds/dt = f p(1 - p)|grad s|^2, and the time from p0 to 1/2 is about
//! 1/(f p0 |grad s|^2). Under flow on ln p (cross-entropy) ds/dt = (1 - p)|grad s|^2, and the time grows with ln(1/p0) only:
//! the slow start belongs to the reward, not to ntcov. Adam divides by the size of the gradient and hardly sees it.

use super::flow::runge_kutta;
use super::network::{P, Probe, Problem, sigmoid};
use super::{Check, Claim, Expected, dot, draws, moved};
use crate::analysis::regression;
use crate::error::Result;

/// Probabilities to begin with.
const BEGIN: [f64; 5] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// Growth of the log-odds in a step of the flow.
const STEP: f64 = 0.02;

/// Tries it.
///
/// # Errors
/// If a regression is degenerate.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut numbers = draws(seed, 24, 0);
    let problem = Problem::new(P, &mut numbers);
    let theta = problem.initial(&mut numbers);
    let begins: Vec<Vec<f64>> = BEGIN.iter().map(|p| begin(&problem, &theta, *p)).collect();
    let times = |objective: Objective| {
        begins
            .iter()
            .map(|theta| flow_time(&problem, theta, objective))
            .collect::<Vec<_>>()
    };
    let (reward, entropy) = (times(Objective::Reward), times(Objective::LogProbability));
    let adam: Vec<f64> = begins.iter().map(|theta| adam_steps(&problem, theta)).collect();
    let logs = |values: &[f64]| values.iter().map(|x| x.ln()).collect::<Vec<f64>>();
    let slope = |times: &[f64]| -> Result<f64> { Ok(regression::fit(&[&logs(&BEGIN)], &logs(times))?.coefficients[1]) };
    let gradient = problem.log_odds_gradient(&begins[0], SAMPLE);
    Ok(Claim::new(
        24,
        "what is improbable grows slowly",
        vec![Check::new(
            "reward: slope of ln time on ln p0, p0 = 1e-6 to 1e-2",
            Expected::Within(-1.1, -0.9),
            slope(&reward)?,
        )],
        vec![
            Check::new(
                "reward: time from p0 = 1e-6 over 1/(p0 |grad s|^2)",
                Expected::Within(0.8, 1.25),
                reward[0] * BEGIN[0] * dot(&gradient, &gradient),
            ),
            Check::new(
                "cross-entropy: the same slope (that of ln(1/p0) is -0.12)",
                Expected::Within(-0.3, 0.0),
                slope(&entropy)?,
            ),
            Check::new(
                "reward by Adam: slope of ln steps on ln p0",
                Expected::Within(-0.3, 0.0),
                slope(&adam)?,
            ),
        ],
    ))
}

/// The sample whose label is to become probable.
const SAMPLE: usize = 0;

#[derive(Clone, Copy, PartialEq)]
enum Objective {
    Reward,
    LogProbability,
}

/// The weights with the label's bias such that its probability is p.
fn begin(problem: &Problem, theta: &[f64], p: f64) -> Vec<f64> {
    let mut theta = theta.to_vec();
    let (s, _) = problem.log_odds(&theta, SAMPLE);
    theta[problem.bias(problem.labels[SAMPLE])] += (p / (1.0 - p)).ln() - s;
    theta
}

/// Time of the flow until p = 1/2, in steps that each move the log-odds by about [`STEP`].
fn flow_time(problem: &Problem, theta: &[f64], objective: Objective) -> f64 {
    let factor = |s: f64| match objective {
        Objective::Reward => sigmoid(s) * sigmoid(-s),
        Objective::LogProbability => sigmoid(-s),
    };
    let field = |theta: &[f64]| -> Vec<f64> {
        let scale = factor(problem.log_odds(theta, SAMPLE).0);
        problem
            .log_odds_gradient(theta, SAMPLE)
            .iter()
            .map(|g| scale * g)
            .collect()
    };
    let mut theta = theta.to_vec();
    let mut time = 0.0;
    loop {
        let (s, _) = problem.log_odds(&theta, SAMPLE);
        let gradient = problem.log_odds_gradient(&theta, SAMPLE);
        let h = STEP.min(-s) / (factor(s) * dot(&gradient, &gradient));
        // The last step is cut to end at s = 0, and may stop a little short of it.
        if -s < 1e-6 {
            return time;
        }
        theta = runge_kutta(&theta, h, &field);
        time += h;
        if problem.log_odds(&theta, SAMPLE).0 >= 0.0 {
            return time;
        }
    }
}

/// Steps of Adam on p until it is 1/2, if it is before 100,000.
fn adam_steps(problem: &Problem, theta: &[f64]) -> f64 {
    let (lr, beta1, beta2, eps) = (0.003f64, 0.9f64, 0.999f64, 1e-16f64);
    let mut theta = theta.to_vec();
    let (mut m, mut v) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
    for step in 1..=100_000 {
        let gradient = Probe::Probability(SAMPLE).gradient(problem, &theta);
        let (first, second) = (1.0 - beta1.powi(step), 1.0 - beta2.powi(step));
        let mut direction = vec![0.0; theta.len()];
        for k in 0..theta.len() {
            m[k] = beta1 * m[k] + (1.0 - beta1) * gradient[k];
            v[k] = beta2 * v[k] + (1.0 - beta2) * gradient[k] * gradient[k];
            direction[k] = m[k] / first / ((v[k] / second).sqrt() + eps);
        }
        theta = moved(&theta, lr, &direction);
        if problem.log_odds(&theta, SAMPLE).0 >= 0.0 {
            return f64::from(step);
        }
    }
    f64::NAN
}
