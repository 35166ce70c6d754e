//! Cosines and sines on a cyclic group.

use std::f64::consts::TAU;
use std::ops::RangeInclusive;

/// The waves of a cyclic group of n elements.
#[derive(Debug, Clone)]
pub struct Waves {
    /// cos(2 pi j/n).
    cosines: Vec<f64>,
    /// sin(2 pi j/n).
    sines: Vec<f64>,
}

impl Waves {
    /// Those of a group of order `n`, at least 1.
    pub fn new(n: usize) -> Self {
        let angle = |j: usize| TAU * j as f64 / n as f64;
        Self {
            cosines: (0..n).map(|j| angle(j).cos()).collect(),
            sines: (0..n).map(|j| angle(j).sin()).collect(),
        }
    }

    /// Elements.
    pub fn order(&self) -> usize {
        self.cosines.len()
    }

    /// Frequencies but 0: 1 to floor(n/2).
    pub fn frequencies(&self) -> RangeInclusive<usize> {
        1..=self.order() / 2
    }

    /// cos(2 pi k s/n).
    pub fn cosine(&self, k: usize, s: usize) -> f64 {
        self.cosines[k * s % self.order()]
    }

    /// sin(2 pi k s/n).
    pub fn sine(&self, k: usize, s: usize) -> f64 {
        self.sines[k * s % self.order()]
    }

    /// 2, or 1 where 2k = n: what the square of a frequency's coefficient counts, since k and n - k are one.
    pub fn weight(&self, k: usize) -> f64 {
        if 2 * k == self.order() { 1.0 } else { 2.0 }
    }

    /// c = (1/n) sum over s of f(s) e^(-2 pi i k s/n), as real and imaginary part.
    pub fn coefficient(&self, k: usize, f: impl Fn(usize) -> f64) -> [f64; 2] {
        let n = self.order();
        let (mut real, mut imaginary) = (0.0, 0.0);
        for s in 0..n {
            let value = f(s);
            real += value * self.cosine(k, s);
            imaginary -= value * self.sine(k, s);
        }
        [real / n as f64, imaginary / n as f64]
    }

    /// The mean over the group of the square of f's part at frequency k: `weight |c|^2`.
    pub fn power(&self, k: usize, f: impl Fn(usize) -> f64) -> f64 {
        let [real, imaginary] = self.coefficient(k, f);
        self.weight(k) * (real * real + imaginary * imaginary)
    }

    /// f's part at frequency k, at s, from f's coefficient there.
    pub fn part(&self, k: usize, [real, imaginary]: [f64; 2], s: usize) -> f64 {
        self.weight(k) * (real * self.cosine(k, s) - imaginary * self.sine(k, s))
    }
}
