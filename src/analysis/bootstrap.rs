//! Percentile bootstrap over units.

use super::draws::Draws;
use super::series::quantile;

/// The interval that holds the middle `confidence` of a statistic over resamples of `units` units, with replacement.
///
/// `statistic` gets the chosen units, with repetitions. Resamples for which it is NaN are left out; NaN if all are.
pub fn interval(
    units: usize,
    statistic: impl Fn(&[usize]) -> f64,
    confidence: f64,
    resamples: u32,
    seed: u64,
) -> (f64, f64) {
    let values: Vec<f64> = (0..resamples)
        .map(|index| {
            let mut draws = Draws::new(seed, index);
            let chosen: Vec<usize> = (0..units).map(|_| draws.below(units)).collect();
            statistic(&chosen)
        })
        .filter(|value| !value.is_nan())
        .collect();
    let tail = (1.0 - confidence) / 2.0;
    (quantile(&values, tail), quantile(&values, 1.0 - tail))
}
