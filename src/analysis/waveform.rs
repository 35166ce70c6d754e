//! The form of an oscillation of known period: sinusoid or sawtooth.
//!
//! A sinusoid has all its variance in one frequency and rises as long as it falls; a relaxation cycle loads slowly and
//! discharges fast.

use super::regression;
use super::series::mean;

/// A least-squares fit of a mean and harmonics of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Harmonics {
    period: f64,
    mean: f64,
    /// Cosine and sine of harmonic h at index h - 1.
    pairs: Vec<[f64; 2]>,
    /// Share of the variance explained.
    pub r2: f64,
}

impl Harmonics {
    /// Fits `count` harmonics. Where that many are not determined by the values, there are none, and `r2` is NaN.
    pub fn fit(times: &[f64], values: &[f64], period: f64, count: usize) -> Self {
        let waves: Vec<Vec<f64>> = (1..=count)
            .flat_map(|h| {
                let omega = std::f64::consts::TAU * h as f64 / period;
                [f64::cos, f64::sin].map(|wave| times.iter().map(|t| wave(omega * t)).collect())
            })
            .collect();
        let columns: Vec<&[f64]> = waves.iter().map(Vec::as_slice).collect();
        match regression::fit(&columns, values) {
            Ok(fit) => Self {
                period,
                mean: fit.coefficients[0],
                pairs: fit.coefficients[1..].chunks(2).map(|pair| [pair[0], pair[1]]).collect(),
                r2: fit.r2,
            },
            Err(_) => Self {
                period,
                mean: mean(values),
                pairs: Vec::new(),
                r2: f64::NAN,
            },
        }
    }

    /// The fit at a time.
    pub fn at(&self, time: f64) -> f64 {
        let omega = std::f64::consts::TAU / self.period;
        self.pairs.iter().enumerate().fold(self.mean, |sum, (k, [cos, sin])| {
            let angle = omega * (k + 1) as f64 * time;
            sum + cos * angle.cos() + sin * angle.sin()
        })
    }

    /// Squared amplitude of harmonic h, from 1; 0 where it was not fitted.
    pub fn power(&self, h: usize) -> f64 {
        self.pairs
            .get(h.wrapping_sub(1))
            .map_or(0.0, |[cos, sin]| cos * cos + sin * sin)
    }
}

/// The form of an oscillation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waveform {
    /// R^2 of one sine of the period through all values against their phase.
    pub sine_r2: f64,
    /// Squared amplitude of the second harmonic over that of the first, both fitted at once.
    pub harmonic_ratio: f64,
    /// Time from trough to crest over that from crest to trough, of the fit with eight harmonics; a sine has 1.
    pub rise_fall: f64,
    /// Crest less trough of that fit.
    pub height: f64,
}

/// Harmonics of the fit whose crest and trough are taken (fewer where the period has fewer than 24 values).
const HARMONICS: usize = 8;
/// Phases at which crest and trough are sought.
const PHASES: usize = 2048;

impl Waveform {
    /// The form of detrended values with this period.
    pub fn of(times: &[f64], values: &[f64], period: f64) -> Self {
        let per_period = period / super::series::median_step(times);
        let count = ((per_period / 3.0).floor() as usize).clamp(1, HARMONICS);
        let two = Harmonics::fit(times, values, period, 2);
        let shape = Harmonics::fit(times, values, period, count);
        let profile: Vec<f64> = (0..PHASES)
            .map(|k| shape.at(period * k as f64 / PHASES as f64))
            .collect();
        let extreme = |sign: f64| {
            (0..PHASES)
                .max_by(|&a, &b| (sign * profile[a]).total_cmp(&(sign * profile[b])))
                .unwrap_or_default()
        };
        let (crest, trough) = (extreme(1.0), extreme(-1.0));
        let rise = (crest + PHASES - trough) % PHASES;
        Self {
            sine_r2: Harmonics::fit(times, values, period, 1).r2,
            harmonic_ratio: two.power(2) / two.power(1),
            rise_fall: rise as f64 / (PHASES - rise) as f64,
            height: profile[crest] - profile[trough],
        }
    }

    /// R^2 > 0.9, P2/P1 < 0.1 and a rise/fall ratio in [0.8, 1.25].
    pub fn is_clean_sinusoid(&self) -> bool {
        self.sine_r2 > 0.9 && self.harmonic_ratio < 0.1 && (0.8..=1.25).contains(&self.rise_fall)
    }
}
