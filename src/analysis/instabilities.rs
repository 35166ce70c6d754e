//! Micro-instabilities of an agreement series: short falls below its running median.
//!
//! A value is part of one if it lies more than k MAD below the running median of 51 values around it, where MAD is the
//! median absolute deviation of those differences. Falls less than 5 steps apart are one.
//!
//! The window is chosen before the series is seen, and *nothing outside it enters*, neither the medians nor MAD: a count
//! over the 100 steps before memorisation must not know what came after. A count over the whole gap between
//! memorisation and grokking grows with the gap by itself and predicts it trivially.

use super::series::{median, running_median};

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Values of the running median.
    pub median: usize,
    /// Multiples of MAD.
    pub depth: f64,
    /// Falls closer than this many steps are one.
    pub apart: u64,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            median: 51,
            depth: 3.0,
            apart: 5,
        }
    }
}

/// The falls in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Instabilities {
    /// First and last step of each.
    pub falls: Vec<(u64, u64)>,
    /// Values in the window.
    pub values: usize,
    /// Steps from the window's first value to its last, and one more.
    pub steps: u64,
    /// Median absolute deviation from the running median.
    pub mad: f64,
}

impl Instabilities {
    /// Falls per step; NaN of an empty window.
    pub fn rate(&self) -> f64 {
        self.falls.len() as f64 / self.steps as f64
    }
}

/// The falls at steps from `first` to `last`, both included. Values that are NaN were not measured.
///
/// A series that is constant but for a few values has MAD 0: every value below the median is then a fall.
pub fn find(steps: &[u64], values: &[f64], first: u64, last: u64, rule: &Rule) -> Instabilities {
    let (times, values): (Vec<u64>, Vec<f64>) = steps
        .iter()
        .zip(values)
        .filter(|(step, value)| (first..=last).contains(*step) && !value.is_nan())
        .map(|(step, value)| (*step, *value))
        .unzip();
    // The running median counts values, whatever their distance.
    let places: Vec<f64> = (0..values.len()).map(|k| k as f64).collect();
    let medians = running_median(&places, &values, rule.median.saturating_sub(1) as f64);
    let differences: Vec<f64> = values.iter().zip(&medians).map(|(x, m)| x - m).collect();
    let spread = if values.is_empty() {
        f64::NAN
    } else {
        // About 0, the running median itself.
        let distances: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
        median(&distances)
    };
    let mut falls: Vec<(u64, u64)> = Vec::new();
    for (&step, _) in times
        .iter()
        .zip(&differences)
        .filter(|(_, d)| **d < -rule.depth * spread)
    {
        match falls.last_mut() {
            Some(fall) if step - fall.1 < rule.apart => fall.1 = step,
            _ => falls.push((step, step)),
        }
    }
    Instabilities {
        falls,
        values: values.len(),
        steps: times.first().zip(times.last()).map_or(0, |(a, b)| b - a + 1),
        mad: spread,
    }
}
