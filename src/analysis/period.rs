//! Whether a series has a period, and which.
//!
//! 1. The trend is removed as a running median over five periods. Since the period is not known before, this is done
//!    twice: over five times the longest period sought, which gives a first candidate, then over five candidates.
//! 2. The power at every frequency (FFT, or Lomb and Scargle where the series has gaps) is divided by the spectrum of
//!    the red noise fitted to the detrended series. The highest ratio is the candidate.
//! 3. Its false-alarm probability is the share of red-noise series of the same times, made by the process fitted to the
//!    undetrended series, whose highest ratio is as high, *after they went through all of the above themselves*. So
//!    the search over frequencies, both detrendings and the fitted noise are all in it.
//! 4. A period counts if that is below 0.01 and the autocorrelation has a peak above 0.3 within 10 % of it.
//! 5. Its interval is from a block bootstrap: three harmonics are fitted, blocks of residuals of two periods are put
//!    together anew, and the period is fitted again.

use rayon::prelude::*;

use super::autocorrelation::{autocorrelation, peak};
use super::draws::Draws;
use super::red_noise::RedNoise;
use super::series::{detrended, even_step, median_step, quantile, resampled};
use super::spectrum::Spectrum;
use super::waveform::Harmonics;
use crate::error::{Error, Result};

/// What is sought, and how. The thresholds are fixed before a series is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Shortest period; none for four median distances of the times, the least that can be told.
    pub shortest: Option<f64>,
    /// Longest period; none for a quarter of the span.
    pub longest: Option<f64>,
    /// Red-noise series simulated.
    pub simulations: u32,
    /// Bootstrap series.
    pub resamples: u32,
    /// Seed of both.
    pub seed: u64,
    /// False-alarm probability below which a peak is significant.
    pub level: f64,
    /// Least autocorrelation that confirms a period.
    pub least_autocorrelation: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            shortest: None,
            longest: None,
            simulations: 999,
            resamples: 400,
            seed: 0,
            level: 0.01,
            least_autocorrelation: 0.3,
        }
    }
}

/// The strongest period, with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// The period, in the unit of the times.
    pub period: f64,
    /// 95 % interval from the block bootstrap; NaN where no resamples were asked for.
    pub interval: (f64, f64),
    /// Share of the detrended series' sum of squares at its frequency.
    pub power: f64,
    /// Power over the red noise's expectation at the peak.
    pub ratio: f64,
    /// Share of red-noise series with a ratio as high.
    pub false_alarm: f64,
    /// Peak of the autocorrelation within 10 % of the period: lag and value.
    pub autocorrelation: Option<(f64, f64)>,
    /// The noise fitted to the detrended series.
    pub noise: RedNoise,
    /// Width of the running median.
    pub detrended_over: f64,
    /// Whether the false-alarm probability is below the level and the autocorrelation confirms it.
    pub significant: bool,
}

/// Fewest values for a search.
pub const LEAST: usize = 32;

/// The strongest period of a series; times increase.
///
/// # Errors
/// If lengths differ, times do not increase, values are not finite, there are fewer than [`LEAST`], or no period lies
/// between the shortest and the longest that can be told.
pub fn find(times: &[f64], values: &[f64], search: &Search) -> Result<Period> {
    check(times, values)?;
    let span = times[times.len() - 1] - times[0];
    let least = 4.0 * median_step(times);
    let shortest = search.shortest.unwrap_or(least).max(least);
    let longest = search.longest.unwrap_or(span / 4.0).min(span / 2.0);
    if longest.is_nan() || longest <= shortest {
        return Err(Error::numeric(format!(
            "no period between {shortest} (four distances of the times) and {longest} can be told in a span of {span}"
        )));
    }
    let sought = Sought {
        times,
        spectrum: Spectrum::new(times, shortest, longest),
        step: median_step(times),
        longest,
    };
    if sought.spectrum.frequencies().len() < 3 {
        return Err(Error::numeric(format!(
            "fewer than three frequencies between periods {shortest} and {longest}"
        )));
    }
    let found = sought.strongest(values);
    let null = RedNoise::fit(times, values);
    let as_high = (0..search.simulations)
        .into_par_iter()
        .filter(|&index| {
            let series = null.draw(times, &mut Draws::new(search.seed, index));
            sought.strongest(&series).ratio >= found.ratio
        })
        .count();
    let false_alarm = (1 + as_high) as f64 / f64::from(1 + search.simulations);

    let flat = detrended(times, values, found.width);
    let autocorrelation = confirmation(times, &flat, found.period);
    let confirmed = autocorrelation.is_some_and(|(_, r)| r > search.least_autocorrelation);
    Ok(Period {
        interval: interval(times, &flat, found.period, search),
        period: found.period,
        power: found.power,
        ratio: found.ratio,
        false_alarm,
        autocorrelation,
        noise: found.noise,
        detrended_over: found.width,
        significant: false_alarm < search.level && confirmed,
    })
}

fn check(times: &[f64], values: &[f64]) -> Result<()> {
    if times.len() != values.len() {
        return Err(Error::shape(format!(
            "{} times for {} values",
            times.len(),
            values.len()
        )));
    }
    if times.len() < LEAST {
        return Err(Error::numeric(format!(
            "a series of {} values has no period, expected at least {LEAST}",
            times.len()
        )));
    }
    if times.iter().any(|t| t.is_nan())
        || times.windows(2).any(|pair| pair[1] <= pair[0])
        || values.iter().any(|x| !x.is_finite())
    {
        return Err(Error::numeric(
            "expected times that increase and values that are finite".to_owned(),
        ));
    }
    Ok(())
}

struct Sought<'a> {
    times: &'a [f64],
    spectrum: Spectrum,
    step: f64,
    longest: f64,
}

struct Strongest {
    period: f64,
    power: f64,
    ratio: f64,
    width: f64,
    noise: RedNoise,
}

impl Sought<'_> {
    fn strongest(&self, values: &[f64]) -> Strongest {
        let first = self.peak(values, 5.0 * self.longest);
        self.peak(values, 5.0 * first.period)
    }

    fn peak(&self, values: &[f64], width: f64) -> Strongest {
        let flat = detrended(self.times, values, width);
        let noise = RedNoise::fit(self.times, &flat);
        let power = self.spectrum.power(&flat);
        let frequencies = self.spectrum.frequencies();
        let expected = 2.0 / self.times.len() as f64;
        let ratios: Vec<f64> = power
            .iter()
            .zip(frequencies)
            .map(|(p, f)| p / (expected * noise.spectrum(*f, self.step)))
            .collect();
        let place = (0..ratios.len())
            .max_by(|&a, &b| ratios[a].total_cmp(&ratios[b]))
            .unwrap_or_default();
        Strongest {
            period: 1.0 / (frequencies[place] + offset(&power, place) * (frequencies[1] - frequencies[0])),
            power: power[place],
            ratio: ratios[place],
            width,
            noise,
        }
    }
}

/// Where between its neighbours a parabola through three powers has its top, in [-1/2, 1/2].
fn offset(power: &[f64], place: usize) -> f64 {
    if place == 0 || place + 1 >= power.len() {
        return 0.0;
    }
    let (left, top, right) = (power[place - 1], power[place], power[place + 1]);
    let curvature = left - 2.0 * top + right;
    if curvature < 0.0 && top >= left && top >= right {
        (0.5 * (left - right) / curvature).clamp(-0.5, 0.5)
    } else {
        0.0
    }
}

/// The peak of the autocorrelation within 10 % of the period, on an even grid.
fn confirmation(times: &[f64], flat: &[f64], period: f64) -> Option<(f64, f64)> {
    let step = even_step(times).unwrap_or_else(|| median_step(times).min(period / 20.0));
    let even = resampled(times, flat, step);
    let high = (1.1 * period / step).floor() as usize;
    let found = peak(
        &autocorrelation(&even, high + 1),
        (0.9 * period / step).ceil() as usize,
        high,
    )?;
    Some((found.0 as f64 * step, found.1))
}

/// Frequencies of the bootstrap's fits: within a quarter of the period's, or three resolutions if that is less.
const FITTED: usize = 61;

fn interval(times: &[f64], flat: &[f64], period: f64, search: &Search) -> (f64, f64) {
    if search.resamples == 0 {
        return (f64::NAN, f64::NAN);
    }
    let n = times.len();
    let span = times[n - 1] - times[0];
    let centre = 1.0 / period;
    let reach = (3.0 / span).min(0.25 * centre);
    let frequencies: Vec<f64> = (0..FITTED)
        .map(|k| centre + reach * (2.0 * k as f64 / (FITTED - 1) as f64 - 1.0))
        .collect();
    let spectrum = Spectrum::lomb(times, &frequencies);
    let fitted = Harmonics::fit(times, flat, period, 3);
    let smooth: Vec<f64> = times.iter().map(|t| fitted.at(*t)).collect();
    let residuals: Vec<f64> = flat.iter().zip(&smooth).map(|(x, s)| x - s).collect();
    let block = ((2.0 * period / median_step(times)).round() as usize).clamp(1, n.div_ceil(4));
    let periods: Vec<f64> = (0..search.resamples)
        .into_par_iter()
        .map(|index| {
            let mut draws = Draws::new(search.seed, BOOTSTRAP + index);
            let noise = blocks(&residuals, block, &mut draws);
            let series: Vec<f64> = smooth.iter().zip(&noise).map(|(s, e)| s + e).collect();
            let power = spectrum.power(&series);
            let place = (0..FITTED)
                .max_by(|&a, &b| power[a].total_cmp(&power[b]))
                .unwrap_or_default();
            1.0 / (frequencies[place] + offset(&power, place) * (frequencies[1] - frequencies[0]))
        })
        .collect();
    (quantile(&periods, 0.025), quantile(&periods, 0.975))
}

/// Sub-streams of the bootstrap begin here, behind those of the simulations.
const BOOTSTRAP: u32 = 1 << 31;

/// As many values again, of blocks that begin anywhere (and go on at the beginning where the series ends).
fn blocks(values: &[f64], length: usize, draws: &mut Draws) -> Vec<f64> {
    let n = values.len();
    let mut out = Vec::with_capacity(n + length);
    while out.len() < n {
        let begin = draws.below(n);
        out.extend((0..length).map(|k| values[(begin + k) % n]));
    }
    out.truncate(n);
    out
}
