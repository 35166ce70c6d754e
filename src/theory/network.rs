//! The networks and properties of the claims: one hidden layer of tanh on addition modulo 5, all derivatives by hand.
//!
//! Everything about a sample's probability goes through the log-odds of its label, s = z_y - ln sum_{j != y} e^{z_j}:
//! p_y = sigma(s), the loss is ln(1 + e^{-s}) and its derivative by s is -sigma(-s), without cancellation.

use super::{dot, moved};
use crate::analysis::draws::Draws;

/// Modulus; the inputs are two one-hot numbers.
pub const P: usize = 5;
/// Samples: all pairs.
pub const SAMPLES: usize = P * P;
/// Of these, the first so many (in a seeded order) are trained on.
pub const TRAINED: usize = 15;
const INPUTS: usize = 2 * P;
const HIDDEN: usize = 12;

/// A network with `outputs` logits, and its samples.
#[derive(Debug, Clone)]
pub struct Problem {
    outputs: usize,
    /// (a, b) of each sample.
    pairs: Vec<(usize, usize)>,
    /// (a + b) mod P.
    pub labels: Vec<usize>,
}

impl Problem {
    /// Samples in a random order; `outputs` is P, or 1 for a sigmoid head.
    pub fn new(outputs: usize, draws: &mut Draws) -> Self {
        let pairs: Vec<(usize, usize)> = draws.permutation(SAMPLES).into_iter().map(|k| (k / P, k % P)).collect();
        let labels = pairs.iter().map(|(a, b)| (a + b) % P).collect();
        Self { outputs, pairs, labels }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        HIDDEN * (INPUTS + 1) + self.outputs * (HIDDEN + 1)
    }

    /// Normal weights of standard deviation 0.7 at the input and 1/sqrt(hidden) at the output; biases 0.
    pub fn initial(&self, draws: &mut Draws) -> Vec<f64> {
        let mut theta = vec![0.0; self.parameters()];
        let (first, second) = (HIDDEN * INPUTS, HIDDEN * (INPUTS + 1));
        for w in &mut theta[..first] {
            *w = 0.7 * draws.normal();
        }
        for w in &mut theta[second..][..self.outputs * HIDDEN] {
            *w = draws.normal() / (HIDDEN as f64).sqrt();
        }
        theta
    }

    /// Place of the bias of logit `c`.
    pub fn bias(&self, c: usize) -> usize {
        HIDDEN * (INPUTS + 1) + self.outputs * HIDDEN + c
    }

    fn hidden(&self, theta: &[f64], sample: usize) -> [f64; HIDDEN] {
        let (a, b) = self.pairs[sample];
        std::array::from_fn(|h| {
            let row = &theta[h * INPUTS..];
            (row[a] + row[P + b] + theta[HIDDEN * INPUTS + h]).tanh()
        })
    }

    /// Logits of a sample.
    pub fn logits(&self, theta: &[f64], sample: usize) -> Vec<f64> {
        let hidden = self.hidden(theta, sample);
        let output = &theta[HIDDEN * (INPUTS + 1)..];
        (0..self.outputs)
            .map(|c| dot(&output[c * HIDDEN..][..HIDDEN], &hidden) + output[self.outputs * HIDDEN + c])
            .collect()
    }

    /// Adds to `gradient` that of sum_c cotangent_c z_c of a sample.
    pub fn pull_back(&self, theta: &[f64], sample: usize, cotangent: &[f64], gradient: &mut [f64]) {
        let (a, b) = self.pairs[sample];
        let hidden = self.hidden(theta, sample);
        let begin = HIDDEN * (INPUTS + 1);
        let mut back = [0.0; HIDDEN];
        for (c, t) in cotangent.iter().enumerate() {
            for h in 0..HIDDEN {
                back[h] += t * theta[begin + c * HIDDEN + h];
                gradient[begin + c * HIDDEN + h] += t * hidden[h];
            }
            gradient[begin + self.outputs * HIDDEN + c] += t;
        }
        for h in 0..HIDDEN {
            let t = back[h] * (1.0 - hidden[h] * hidden[h]);
            gradient[h * INPUTS + a] += t;
            gradient[h * INPUTS + P + b] += t;
            gradient[HIDDEN * INPUTS + h] += t;
        }
    }

    /// Log-odds of a sample's label (of 1 for a sigmoid head), and its derivatives by the logits.
    pub fn log_odds(&self, theta: &[f64], sample: usize) -> (f64, Vec<f64>) {
        let z = self.logits(theta, sample);
        if self.outputs == 1 {
            return (z[0], vec![1.0]);
        }
        let label = self.labels[sample];
        let others = || (0..z.len()).filter(|&c| c != label);
        let top = others().map(|c| z[c]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = others().map(|c| (z[c] - top).exp()).sum();
        let cotangent = (0..z.len())
            .map(|c| if c == label { 1.0 } else { -(z[c] - top).exp() / sum })
            .collect();
        (z[label] - top - sum.ln(), cotangent)
    }

    /// Gradient of a sample's log-odds.
    pub fn log_odds_gradient(&self, theta: &[f64], sample: usize) -> Vec<f64> {
        let mut gradient = vec![0.0; theta.len()];
        self.pull_back(theta, sample, &self.log_odds(theta, sample).1, &mut gradient);
        gradient
    }

    /// Gradient of the mean loss of these samples.
    pub fn loss_gradient(&self, theta: &[f64], samples: &[usize]) -> Vec<f64> {
        let mut gradient = vec![0.0; theta.len()];
        for &sample in samples {
            let (s, mut cotangent) = self.log_odds(theta, sample);
            for t in &mut cotangent {
                *t *= -sigmoid(-s) / samples.len() as f64;
            }
            self.pull_back(theta, sample, &cotangent, &mut gradient);
        }
        gradient
    }

    /// Weights after `steps` of full-batch gradient descent on the trained samples.
    pub fn trained(&self, theta: &[f64], lr: f64, steps: usize) -> Vec<f64> {
        let samples: Vec<usize> = (0..TRAINED).collect();
        (0..steps).fold(theta.to_vec(), |theta, _| {
            moved(&theta, -lr, &self.loss_gradient(&theta, &samples))
        })
    }
}

/// 1/(1 + e^{-s})
pub fn sigmoid(s: f64) -> f64 {
    if s >= 0.0 {
        1.0 / (1.0 + (-s).exp())
    } else {
        s.exp() / (1.0 + s.exp())
    }
}

/// A scalar property of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Logit c of a sample.
    Logit(usize, usize),
    /// Probability of a sample's label.
    Probability(usize),
    /// Log-odds of a sample's label.
    LogOdds(usize),
    /// Mean log-odds of all samples.
    MeanLogOdds,
    /// Mean loss of the samples that are not trained on.
    TestLoss,
    /// Half the squared norm of the weights.
    HalfNorm2,
}

/// The properties that several claims follow.
pub const PROBES: [Probe; 6] = [
    Probe::Logit(0, 1),
    Probe::Probability(SAMPLES - 1),
    Probe::LogOdds(SAMPLES - 1),
    Probe::MeanLogOdds,
    Probe::TestLoss,
    Probe::HalfNorm2,
];

impl Probe {
    /// Its value.
    pub fn value(self, problem: &Problem, theta: &[f64]) -> f64 {
        let s = |sample| problem.log_odds(theta, sample).0;
        match self {
            Self::Logit(sample, c) => problem.logits(theta, sample)[c],
            Self::Probability(sample) => sigmoid(s(sample)),
            Self::LogOdds(sample) => s(sample),
            Self::MeanLogOdds => (0..SAMPLES).map(s).sum::<f64>() / SAMPLES as f64,
            Self::TestLoss => {
                let loss = |s: f64| (-s.abs()).exp().ln_1p() + (-s).max(0.0);
                (TRAINED..SAMPLES).map(|k| loss(s(k))).sum::<f64>() / (SAMPLES - TRAINED) as f64
            }
            Self::HalfNorm2 => dot(theta, theta) / 2.0,
        }
    }

    /// Its gradient.
    pub fn gradient(self, problem: &Problem, theta: &[f64]) -> Vec<f64> {
        let mut gradient = vec![0.0; theta.len()];
        match self {
            Self::Logit(sample, c) => {
                let cotangent: Vec<f64> = (0..problem.outputs).map(|k| f64::from(u8::from(k == c))).collect();
                problem.pull_back(theta, sample, &cotangent, &mut gradient);
            }
            Self::Probability(sample) => {
                let s = problem.log_odds(theta, sample).0;
                let slope = sigmoid(s) * sigmoid(-s);
                gradient = moved(&gradient, slope, &problem.log_odds_gradient(theta, sample));
            }
            Self::LogOdds(sample) => return problem.log_odds_gradient(theta, sample),
            Self::MeanLogOdds => {
                for sample in 0..SAMPLES {
                    gradient = moved(
                        &gradient,
                        1.0 / SAMPLES as f64,
                        &problem.log_odds_gradient(theta, sample),
                    );
                }
            }
            Self::TestLoss => return problem.loss_gradient(theta, &(TRAINED..SAMPLES).collect::<Vec<_>>()),
            Self::HalfNorm2 => return theta.to_vec(),
        }
        gradient
    }
}
