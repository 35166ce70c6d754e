//! Claim 25: the equation is worth relaxing to more realistic assumptions.
//!
//! The update D of each optimiser is split into what this step's gradient over all trained samples does (*now*), what the
//! minibatch's gradient has beyond it (*noise*), what earlier gradients do through the moments (*lagged*) and weight decay.
//! A property then moves by grad x . D + 1/2 D^T H_x D + …, and the terms are added one after the other: plain ntcov (lr times
//! ntcov(x, U), as if the update were plain ascent), now through the optimiser's metric, + noise, + lagged, + decay, + second order.

use super::network::{P, PROBES, Probe, Problem, TRAINED};
use super::{Check, Claim, Expected, dot, draws, explained, moved};
use crate::analysis::draws::Draws;
use crate::analysis::series::{mean, variance};
use crate::error::Result;

/// A rule of update. All have a learning rate and decoupled weight decay.
#[derive(Debug, Clone, Copy)]
struct Rule {
    name: &'static str,
    lr: f64,
    /// mu, or Adam's beta1.
    momentum: f64,
    nesterov: bool,
    adam: bool,
    decay: f64,
    clip: Option<f64>,
    batch: usize,
}

const GD: Rule = Rule {
    name: "gradient descent",
    lr: 0.02,
    momentum: 0.0,
    nesterov: false,
    adam: false,
    decay: 0.0,
    clip: None,
    batch: TRAINED,
};

const ADAM: Rule = Rule {
    name: "Adam",
    lr: 1e-3,
    momentum: 0.9,
    adam: true,
    ..GD
};

fn rules() -> [Rule; 7] {
    [
        GD,
        Rule {
            name: "minibatch",
            batch: 5,
            ..GD
        },
        Rule {
            name: "momentum",
            momentum: 0.9,
            ..GD
        },
        Rule {
            name: "Nesterov, decay",
            momentum: 0.9,
            nesterov: true,
            decay: 0.01,
            ..GD
        },
        Rule {
            name: "clipped",
            clip: Some(0.1),
            ..GD
        },
        ADAM,
        Rule {
            name: "AdamW, minibatch",
            decay: 1.0,
            batch: 5,
            ..ADAM
        },
    ]
}

const BETA2: f64 = 0.98;
const EPS: f64 = 1e-8;
const STEPS: usize = 400;
/// Steps before the first that is looked at.
const WARM: usize = 20;

/// Names of the cumulated terms.
const TERMS: [&str; 6] = ["plain ntcov", "now", "+ noise", "+ lagged", "+ decay", "+ second order"];

/// Tries it.
///
/// # Errors
/// None at present: the signature is that of all claims.
pub fn claim(seed: u64) -> Result<Claim> {
    let mut numbers = draws(seed, 25, 0);
    let problem = Problem::new(P, &mut numbers);
    let theta = problem.initial(&mut numbers);
    let mut checks = Vec::new();
    let mut predictions = Vec::new();
    for (part, rule) in rules().into_iter().enumerate() {
        let records = train(&problem, &theta, rule, &mut draws(seed, 25, 1 + part as u32));
        // The property for which it does worst.
        let r2 = |term: usize| {
            let of = |records: &Vec<Record>| {
                let (measured, terms): (Vec<f64>, Vec<f64>) = records.iter().map(|r| (r.change, r.terms[term])).unzip();
                explained(&measured, &terms)
            };
            records.iter().map(of).fold(f64::INFINITY, f64::min)
        };
        checks.push(Check::new(
            format!("{}: least R^2 of all terms", rule.name),
            Expected::AtLeast(0.999),
            r2(TERMS.len() - 1),
        ));
        for (term, name) in TERMS.iter().enumerate().take(TERMS.len() - 1) {
            predictions.push(Check::new(
                format!("{}: least R^2, {name}", rule.name),
                Expected::Any,
                r2(term),
            ));
        }
        let all: Vec<&Record> = records.iter().flatten().collect();
        let agree = all.iter().filter(|r| r.terms[0] * r.change > 0.0).count();
        predictions.push(Check::new(
            format!(
                "{}: share of steps at which plain ntcov has the sign of the change",
                rule.name
            ),
            Expected::Any,
            agree as f64 / all.len() as f64,
        ));
    }
    checks.push(Check::new(
        "minibatch ntcov, mean of 2000 batches: largest distance from the full one in standard errors",
        Expected::AtMost(3.5),
        unbiased(&problem, &theta, &mut numbers),
    ));
    Ok(Claim::new(
        25,
        "the equation extends to minibatches, momentum, Adam, decay and clipping",
        checks,
        predictions,
    ))
}

/// One step as one property sees it.
struct Record {
    change: f64,
    /// Cumulated, as [`TERMS`].
    terms: [f64; 6],
}

/// The records of every property.
fn train(problem: &Problem, theta: &[f64], rule: Rule, numbers: &mut Draws) -> Vec<Vec<Record>> {
    let mut theta = theta.to_vec();
    let mut moments = Moments::new(theta.len());
    let mut records: Vec<Vec<Record>> = PROBES.iter().map(|_| Vec::new()).collect();
    let all: Vec<usize> = (0..TRAINED).collect();
    for step in 0..STEPS {
        let full = problem.loss_gradient(&theta, &all);
        let batch = numbers.permutation(TRAINED)[..rule.batch].to_vec();
        let update = moments.update(
            &rule,
            &theta,
            &full,
            &problem.loss_gradient(&theta, &batch),
            step as i32 + 1,
        );
        let next = moved(&theta, 1.0, &update.total());
        if step >= WARM {
            for (records, probe) in records.iter_mut().zip(PROBES) {
                records.push(record(problem, probe, [&theta, &next], &full, &update, rule.lr));
            }
        }
        theta = next;
    }
    records
}

fn record(
    problem: &Problem,
    probe: Probe,
    [theta, next]: [&[f64]; 2],
    full: &[f64],
    update: &Update,
    lr: f64,
) -> Record {
    let gradient = probe.gradient(problem, theta);
    let total = update.total();
    // D^T H D from gradients on both sides.
    let h = 0.1;
    let above = probe.gradient(problem, &moved(theta, h, &total));
    let below = probe.gradient(problem, &moved(theta, -h, &total));
    let second = (dot(&above, &total) - dot(&below, &total)) / (2.0 * h) / 2.0;
    let mut terms = [-lr * dot(&gradient, full); 6];
    let mut sum = 0.0;
    for (term, part) in terms[1..5].iter_mut().zip(&update.parts) {
        sum += dot(&gradient, part);
        *term = sum;
    }
    terms[5] = sum + second;
    Record {
        change: probe.value(problem, next) - probe.value(problem, theta),
        terms,
    }
}

/// An update as the sum of now, noise, lagged and decay.
struct Update {
    parts: [Vec<f64>; 4],
}

impl Update {
    fn total(&self) -> Vec<f64> {
        self.parts[1..]
            .iter()
            .fold(self.parts[0].clone(), |sum, part| moved(&sum, 1.0, part))
    }
}

struct Moments {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Moments {
    fn new(parameters: usize) -> Self {
        Self {
            first: vec![0.0; parameters],
            second: vec![0.0; parameters],
        }
    }

    fn update(&mut self, rule: &Rule, theta: &[f64], full: &[f64], batch: &[f64], step: i32) -> Update {
        let norm = dot(batch, batch).sqrt();
        let clip = rule.clip.map_or(1.0, |limit| (limit / norm).min(1.0));
        let mu = rule.momentum;
        // What the gradient and the old moment are multiplied by, before the metric.
        let (of_gradient, of_moment, keep, correction) = if rule.adam {
            (1.0 - mu, mu, 1.0 - mu, 1.0 - mu.powi(step))
        } else if rule.nesterov {
            (1.0 + mu, mu * mu, 1.0, 1.0)
        } else {
            (1.0, mu, 1.0, 1.0)
        };
        let mut parts = [const { Vec::new() }; 4];
        for k in 0..theta.len() {
            let gradient = clip * batch[k];
            let metric = if rule.adam {
                self.second[k] = BETA2 * self.second[k] + (1.0 - BETA2) * gradient * gradient;
                1.0 / ((self.second[k] / (1.0 - BETA2.powi(step))).sqrt() + EPS)
            } else {
                1.0
            };
            let scale = -rule.lr * metric / correction;
            parts[0].push(scale * of_gradient * clip * full[k]);
            parts[1].push(scale * of_gradient * clip * (batch[k] - full[k]));
            parts[2].push(scale * of_moment * self.first[k]);
            parts[3].push(-rule.lr * rule.decay * theta[k]);
            self.first[k] = mu * self.first[k] + keep * gradient;
        }
        Update { parts }
    }
}

/// Mean over minibatches of ntcov(x, U_B) against ntcov(x, U), in standard errors, the worst property.
fn unbiased(problem: &Problem, theta: &[f64], numbers: &mut Draws) -> f64 {
    let all: Vec<usize> = (0..TRAINED).collect();
    let full = problem.loss_gradient(theta, &all);
    let batches: Vec<Vec<f64>> = (0..2000)
        .map(|_| problem.loss_gradient(theta, &numbers.permutation(TRAINED)[..5]))
        .collect();
    let distance = |probe: Probe| {
        let gradient = probe.gradient(problem, theta);
        let products: Vec<f64> = batches.iter().map(|batch| dot(&gradient, batch)).collect();
        let error = (variance(&products) / products.len() as f64).sqrt();
        (mean(&products) - dot(&gradient, &full)).abs() / error
    };
    PROBES.into_iter().map(distance).fold(0.0, f64::max)
}
