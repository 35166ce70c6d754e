//! Red noise: x_i = a_i x_{i-1} + e_i with a_i = exp(-(t_i - t_{i-1})/tau), an AR(1) process seen at any times.
//!
//! The null model of a spectral peak: a series that remembers its past wanders, and long swings come by themselves.
//! White noise as the null would call nearly all of them periods.

use super::draws::Draws;
use super::series::mean;

/// A stationary process with mean 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RedNoise {
    /// Time in which the correlation falls by a factor e.
    pub tau: f64,
    /// Standard deviation.
    pub sd: f64,
}

/// Golden-section steps: the bracket shrinks by 0.618 each.
const STEPS: usize = 60;

impl RedNoise {
    /// The most likely process (Gaussian, conditional on the first value), for values less their mean.
    ///
    /// tau is sought between a twentieth of the shortest distance of times, which is white noise, and ten times the
    /// span. A constant series has `sd` 0.
    pub fn fit(times: &[f64], values: &[f64]) -> Self {
        let centre = mean(values);
        let centred: Vec<f64> = values.iter().map(|x| x - centre).collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let shortest = gaps.iter().copied().fold(f64::INFINITY, f64::min);
        let span: f64 = gaps.iter().sum();
        if !(shortest > 0.0 && shortest.is_finite() && span.is_finite()) {
            return Self { tau: 0.0, sd: 0.0 };
        }
        let even = (span / gaps.len() as f64 - shortest).abs() <= 1e-9 * shortest;
        let cost = |ln_tau: f64| -> (f64, f64) {
            let rate = (-ln_tau).exp();
            let one = (-shortest * rate).exp();
            let (mut squares, mut logs) = (0.0, 0.0);
            for (pair, gap) in centred.windows(2).zip(&gaps) {
                let a = if even { one } else { (-gap * rate).exp() };
                let share = -(-2.0 * gap * rate).exp_m1();
                squares += (pair[1] - a * pair[0]).powi(2) / share;
                if !even {
                    logs += share.ln();
                }
            }
            let n = gaps.len() as f64;
            if even {
                logs = n * (-(-2.0 * shortest * rate).exp_m1()).ln();
            }
            (n * (squares / n).ln() + logs, squares / n)
        };
        let (mut low, mut high) = ((shortest / 20.0).ln(), (10.0 * span).ln());
        let golden = 0.5 * (5f64.sqrt() - 1.0);
        let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
        let (mut at_left, mut at_right) = (cost(left).0, cost(right).0);
        for _ in 0..STEPS {
            if at_left <= at_right {
                (high, right, at_right) = (right, left, at_left);
                left = high - golden * (high - low);
                at_left = cost(left).0;
            } else {
                (low, left, at_left) = (left, right, at_right);
                right = low + golden * (high - low);
                at_right = cost(right).0;
            }
        }
        let ln_tau = f64::midpoint(low, high);
        let variance = cost(ln_tau).1;
        Self {
            tau: ln_tau.exp(),
            sd: if variance.is_finite() { variance.sqrt() } else { 0.0 },
        }
    }

    /// One realisation at these times.
    pub fn draw(&self, times: &[f64], draws: &mut Draws) -> Vec<f64> {
        let mut value = self.sd * draws.normal();
        let mut out = Vec::with_capacity(times.len());
        for (k, time) in times.iter().enumerate() {
            if k > 0 {
                let gap = time - times[k - 1];
                let a = if self.tau > 0.0 { (-gap / self.tau).exp() } else { 0.0 };
                value = a * value + self.sd * (1.0 - a * a).sqrt() * draws.normal();
            }
            out.push(value);
        }
        out
    }

    /// The spectrum at a frequency, relative to white noise of the same variance, for samples `step` apart:
    /// (1 - a^2)/(1 - 2 a cos(2 pi f step) + a^2).
    pub fn spectrum(&self, frequency: f64, step: f64) -> f64 {
        let a = if self.tau > 0.0 { (-step / self.tau).exp() } else { 0.0 };
        let angle = std::f64::consts::TAU * frequency * step;
        // 1 - 2 a cos + a^2 without cancellation for a near 1.
        (1.0 - a * a) / ((1.0 - a).powi(2) + 4.0 * a * (0.5 * angle).sin().powi(2))
    }
}
