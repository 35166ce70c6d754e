//! How two evenly spaced series move together at one period: coherence and phase lag, by Welch's method.
//!
//! Segments overlap by half, are freed of their mean and weighted by Hann's window. With cross-spectrum S_xy and spectra
//! S_xx, S_yy averaged over segments, coherence is |S_xy|^2/(S_xx S_yy) and the phase that of S_xy. One segment alone
//! always has coherence 1, and K independent ones have an expected 1/K where the series have nothing in common.

use std::f64::consts::{PI, TAU};

use super::series::mean;
use crate::error::{Error, Result};

/// What two series have in common at a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coherence {
    /// |S_xy|^2/(S_xx S_yy), from 0 to 1.
    pub coherence: f64,
    /// By how much of a turn y lags behind x, in (-1/2, 1/2].
    pub lag_turns: f64,
    /// The same in samples: `lag_turns` times the period.
    pub lag: f64,
    /// Segments averaged.
    pub segments: usize,
}

/// Coherence of x and y at `period` samples, in segments of `length` samples.
///
/// # Errors
/// If lengths differ, a segment holds fewer than two periods, or there are fewer than two segments.
pub fn coherence(x: &[f64], y: &[f64], period: f64, length: usize) -> Result<Coherence> {
    if x.len() != y.len() {
        return Err(Error::shape(format!(
            "{} and {} values, expected as many",
            x.len(),
            y.len()
        )));
    }
    if !(period >= 2.0 && length as f64 >= 2.0 * period) {
        return Err(Error::numeric(format!(
            "segments of {length} samples hold fewer than two periods of {period}"
        )));
    }
    let hop = length.div_ceil(2);
    let begins: Vec<usize> = (0..).map(|k| k * hop).take_while(|b| b + length <= x.len()).collect();
    if begins.len() < 2 {
        return Err(Error::numeric(format!(
            "{} samples make {} segments of {length}, expected at least 2",
            x.len(),
            begins.len()
        )));
    }
    // Fourier coefficient of one segment at the one frequency.
    let coefficient = |values: &[f64]| {
        let centre = mean(values);
        values.iter().enumerate().fold([0.0, 0.0], |[re, im], (k, value)| {
            let window = (PI * k as f64 / length as f64).sin().powi(2);
            let angle = TAU * k as f64 / period;
            let weighted = window * (value - centre);
            [re + weighted * angle.cos(), im - weighted * angle.sin()]
        })
    };
    let (mut xx, mut yy, mut cross) = (0.0, 0.0, [0.0, 0.0]);
    for &begin in &begins {
        let [a, b] = [x, y].map(|series| coefficient(&series[begin..][..length]));
        xx += a[0] * a[0] + a[1] * a[1];
        yy += b[0] * b[0] + b[1] * b[1];
        // conj(a) b
        cross[0] += a[0] * b[0] + a[1] * b[1];
        cross[1] += a[0] * b[1] - a[1] * b[0];
    }
    let turns = -cross[1].atan2(cross[0]) / TAU;
    Ok(Coherence {
        coherence: (cross[0] * cross[0] + cross[1] * cross[1]) / (xx * yy),
        lag_turns: turns,
        lag: turns * period,
        segments: begins.len(),
    })
}
