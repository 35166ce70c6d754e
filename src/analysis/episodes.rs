//! Stretches in which a series stays below a threshold: dips, and collapses after grokking.

use super::transitions::{COLLAPSED, GROKKED};

/// One stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episode {
    /// First step below the threshold.
    pub first: u64,
    /// Last step below it.
    pub last: u64,
    /// First step at or above it afterwards; none if the series ends first.
    pub ended: Option<u64>,
    /// Least value.
    pub lowest: f64,
    /// First step after it at or above the level of recovery; none if the series ends first.
    pub recovered: Option<u64>,
}

impl Episode {
    /// Steps from its first below the threshold to its end, or to its last value where it has not ended.
    pub fn length(&self) -> u64 {
        self.ended.unwrap_or(self.last) - self.first
    }
}

/// The stretches of values below `threshold`, each with the first step at which `recovery` was reached again. Values that
/// are NaN were not measured.
pub fn below(steps: &[u64], values: &[f64], threshold: f64, recovery: f64) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    let mut inside = false;
    let measured = steps.iter().zip(values).filter(|(_, value)| !value.is_nan());
    for (&step, &value) in measured {
        if value < threshold {
            match episodes.last_mut().filter(|_| inside) {
                Some(episode) => {
                    episode.last = step;
                    episode.lowest = episode.lowest.min(value);
                }
                None => episodes.push(Episode {
                    first: step,
                    last: step,
                    ended: None,
                    lowest: value,
                    recovered: None,
                }),
            }
            inside = true;
        } else {
            if inside && let Some(episode) = episodes.last_mut() {
                episode.ended = Some(step);
            }
            inside = false;
            if value >= recovery {
                for episode in episodes
                    .iter_mut()
                    .rev()
                    .take_while(|episode| episode.recovered.is_none())
                {
                    episode.recovered = Some(step);
                }
            }
        }
    }
    episodes
}

/// The collapses after grokking: test accuracy below 0.5, until it is 0.95 again.
pub fn collapses(steps: &[u64], test_accuracy: &[f64], grokked: u64) -> Vec<Episode> {
    let begin = steps.partition_point(|step| *step <= grokked);
    below(&steps[begin..], &test_accuracy[begin..], COLLAPSED, GROKKED)
}
