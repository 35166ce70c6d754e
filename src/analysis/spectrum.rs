//! Power at given frequencies: the periodogram of evenly spaced values by FFT, and Lomb's and Scargle's for all others.
//!
//! Both give the share of the sum of squares that a sinusoid of the frequency explains, a number in [0, 1]: that of
//! astropy's `LombScargle(..., normalization="standard", fit_mean=False, center_data=True)`. Even spacing makes the
//! two agree except near frequency 0 and the Nyquist frequency, where sine and cosine are not orthogonal.

use std::fmt;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use super::series::{even_step, mean};

/// Evaluates the power of series at fixed times and frequencies; made once, used for many simulations.
#[derive(Clone)]
pub struct Spectrum {
    frequencies: Vec<f64>,
    method: Method,
}

#[derive(Clone)]
enum Method {
    Fft {
        /// Padded length.
        length: usize,
        /// First bin.
        first: usize,
        transform: Arc<dyn RealToComplex<f64>>,
    },
    /// Cosine and sine of every frequency at every time, orthogonal and of length 1.
    Lomb(Vec<[Vec<f64>; 2]>),
}

impl fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Fft { .. } => "fft",
            Method::Lomb(_) => "lomb",
        };
        write!(f, "Spectrum({method}, {} frequencies)", self.frequencies.len())
    }
}

/// Frequencies per 1/span.
const OVERSAMPLING: usize = 4;

impl Spectrum {
    /// Frequencies from 1/`longest` to 1/`shortest`, four for each 1/span; by FFT if the times are even.
    pub fn new(times: &[f64], shortest: f64, longest: f64) -> Self {
        let span = times.last().copied().unwrap_or(0.0) - times.first().copied().unwrap_or(0.0);
        if let Some(step) = even_step(times) {
            let length = OVERSAMPLING * times.len();
            let spacing = 1.0 / (length as f64 * step);
            // A hair of slack, so that a period that falls on a frequency is among them.
            let first = ((1.0 / longest / spacing) * (1.0 - 1e-12)).ceil().max(1.0) as usize;
            let last = ((1.0 / shortest / spacing) * (1.0 + 1e-12)).floor() as usize;
            let last = last.min(length / 2);
            return Self {
                frequencies: (first..=last).map(|bin| bin as f64 * spacing).collect(),
                method: Method::Fft {
                    length,
                    first,
                    transform: RealFftPlanner::new().plan_fft_forward(length),
                },
            };
        }
        let spacing = 1.0 / (OVERSAMPLING as f64 * span);
        let count = ((1.0 / shortest - 1.0 / longest) / spacing).max(0.0).floor() as usize + 1;
        let frequencies: Vec<f64> = (0..count).map(|k| 1.0 / longest + k as f64 * spacing).collect();
        Self::lomb(times, &frequencies)
    }

    /// Lomb and Scargle at these frequencies, whatever the times.
    pub fn lomb(times: &[f64], frequencies: &[f64]) -> Self {
        let tables = frequencies.iter().map(|&f| orthogonal(times, f)).collect();
        Self {
            frequencies: frequencies.to_vec(),
            method: Method::Lomb(tables),
        }
    }

    /// The frequencies, increasing.
    pub fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    /// Power of the values, less their mean, at every frequency.
    ///
    /// # Panics
    /// If there are more values than times.
    pub fn power(&self, values: &[f64]) -> Vec<f64> {
        let centre = mean(values);
        let centred: Vec<f64> = values.iter().map(|x| x - centre).collect();
        let total: f64 = centred.iter().map(|x| x * x).sum();
        if total == 0.0 {
            return vec![0.0; self.frequencies.len()];
        }
        match &self.method {
            Method::Fft {
                length,
                first,
                transform,
            } => {
                let mut padded = centred;
                let n = padded.len() as f64;
                padded.resize(*length, 0.0);
                let mut out = transform.make_output_vec();
                if transform.process(&mut padded, &mut out).is_err() {
                    unreachable!("both vectors have the transform's lengths");
                }
                out[*first..][..self.frequencies.len()]
                    .iter()
                    .map(|z| 2.0 * z.norm_sqr() / (n * total))
                    .collect()
            }
            Method::Lomb(tables) => tables
                .iter()
                .map(|table| {
                    let part = |wave: &[f64]| wave.iter().zip(&centred).map(|(w, x)| w * x).sum::<f64>().powi(2);
                    (part(&table[0]) + part(&table[1])) / total
                })
                .collect(),
        }
    }
}

/// cos and sin of 2 pi f (t - t0), with the t0 that makes them orthogonal over the times (Lomb 1976), of length 1.
fn orthogonal(times: &[f64], frequency: f64) -> [Vec<f64>; 2] {
    let omega = std::f64::consts::TAU * frequency;
    let (sin2, cos2) = times.iter().fold((0.0, 0.0), |(s, c), t| {
        let angle = 2.0 * omega * t;
        (s + angle.sin(), c + angle.cos())
    });
    let shift = sin2.atan2(cos2) / 2.0;
    [f64::cos, f64::sin].map(|wave| {
        let raw: Vec<f64> = times.iter().map(|t| wave(omega * t - shift)).collect();
        let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
        // At the Nyquist frequency the sine is zero everywhere, and explains nothing.
        let scale = if norm > 1e-9 { 1.0 / norm } else { 0.0 };
        raw.into_iter().map(|x| x * scale).collect()
    })
}
