//! How long until something happens, where some were not seen for long enough: the estimator of Kaplan and Meier (1958).
//!
//! ```text
//! S(t) = product over event times t_i <= t of (1 - d_i/n_i)
//! ```
//!
//! with d_i events at t_i among n_i units that were still watched just before; one that is censored at t_i counts as
//! watched there. Intervals are of log(-log S) with Greenwood's variance sum d_i/(n_i (n_i - d_i)), so that they stay within
//! 0 and 1; NaN where S is 1 or 0.

use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::error::{Error, Result};

/// The share not reached yet, from one event time to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it last fell.
    pub time: f64,
    /// S from there on.
    pub share: f64,
    /// 95 % interval.
    pub interval: (f64, f64),
    /// Units watched just before.
    pub at_risk: usize,
    /// Events at this time.
    pub events: usize,
}

/// The curve of units with a time each, at which the event was seen, or the watching ended (`is_event` false). Points are
/// event times, increasing.
///
/// # Errors
/// If lengths differ, or a time is not finite.
pub fn kaplan_meier(times: &[f64], is_event: &[bool]) -> Result<Vec<Point>> {
    if times.len() != is_event.len() {
        return Err(Error::shape(format!(
            "{} times and {} flags, expected one each",
            times.len(),
            is_event.len()
        )));
    }
    if times.iter().any(|time| !time.is_finite()) {
        return Err(Error::numeric("a survival time is not finite"));
    }
    let mut events: Vec<f64> = times
        .iter()
        .zip(is_event)
        .filter(|(_, seen)| **seen)
        .map(|(t, _)| *t)
        .collect();
    events.sort_by(f64::total_cmp);
    events.dedup();
    let z = Normal::standard().inverse_cdf(0.975);
    let (mut share, mut variance) = (1.0, 0.0);
    let points = events.into_iter().map(|time| {
        let at_risk = times.iter().filter(|t| **t >= time).count();
        let events = times
            .iter()
            .zip(is_event)
            .filter(|(t, seen)| **seen && **t == time)
            .count();
        let (n, d) = (at_risk as f64, events as f64);
        share *= 1.0 - d / n;
        variance += d / (n * (n - d));
        let log = f64::ln(share);
        let half = z * variance.sqrt() / log.abs();
        let bound = |sign: f64| {
            if share > 0.0 && share < 1.0 {
                (log * (sign * half).exp()).exp()
            } else {
                f64::NAN
            }
        };
        Point {
            time,
            share,
            interval: (bound(1.0), bound(-1.0)),
            at_risk,
            events,
        }
    });
    Ok(points.collect())
}

/// The first time at which at most half are left; none if more are to the end.
pub fn median(curve: &[Point]) -> Option<f64> {
    curve
        .iter()
        .find(|point| point.share <= 0.5 + 1e-12)
        .map(|point| point.time)
}
