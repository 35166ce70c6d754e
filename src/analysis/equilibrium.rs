//! What a run settled into after grokking: failed, collapse, oscillation, fixed point or hovering, decided in this order.
//!
//! Over the last window (20,000 steps, or the whole series where it is shorter):
//!
//! 1. **failed**: a value is not finite, or the training accuracy is below 0.9 in the last tenth of the window;
//! 2. **collapse**: the test accuracy stays below 0.5 for longer than half the dominant period, and the restricted loss
//!    is back at the level it had before grokking. The run then returned, or was absorbed;
//! 3. **oscillation**: the log test loss and the norm both have a significant period, with amplitudes above 1 nat and
//!    1 % of the norm;
//! 4. **fixed point**: test accuracy above 0.99 on average with a standard deviation below 0.01;
//! 5. **hovering**: the rest.
//!
//! The dominant period is the strongest peak of the log test loss, whether it is significant or not; amplitudes are half
//! of crest less trough of the detrended series in a stretch of one period, the median over the window's stretches.

use super::episodes::{Episode, below};
use super::period::{self, Period, Search};
use super::series::{detrended, mean, measured, median, variance};
use super::transitions::{COLLAPSED, GROKKED};
use crate::error::{Error, Result};

/// The classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Diverged, or the training split is not held.
    Failed,
    /// What was learnt is lost for longer than a swing.
    Collapse,
    /// Loss and norm swing with a period.
    Oscillation,
    /// Nothing moves.
    FixedPoint,
    /// Neither still nor periodic.
    Hovering,
}

/// The limits between the classes, fixed before a run is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Steps of the window.
    pub window: u64,
    /// Training accuracy below which a run failed.
    pub train_accuracy: f64,
    /// Test accuracy below which a run has collapsed.
    pub collapsed: f64,
    /// Restricted loss, as a share of its level before grokking, from which on it is back there.
    pub restricted_share: f64,
    /// Relative amplitude of the norm in an oscillation.
    pub norm_amplitude: f64,
    /// Amplitude of the log test loss, in nats.
    pub loss_amplitude: f64,
    /// Mean test accuracy of a fixed point.
    pub fixed_accuracy: f64,
    /// Standard deviation of its test accuracy.
    pub fixed_deviation: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 20_000,
            train_accuracy: 0.9,
            collapsed: COLLAPSED,
            restricted_share: 0.9,
            norm_amplitude: 0.01,
            loss_amplitude: 1.0,
            fixed_accuracy: 0.99,
            fixed_deviation: 0.01,
        }
    }
}

/// The series of a run, all of the same steps; NaN where not measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run<'a> {
    /// Steps, increasing.
    pub steps: &'a [u64],
    /// Training accuracy.
    pub train_accuracy: &'a [f64],
    /// Test accuracy.
    pub test_accuracy: &'a [f64],
    /// Test loss, positive.
    pub test_loss: &'a [f64],
    /// Weight norm.
    pub weight_norm: &'a [f64],
    /// Restricted loss and its level before grokking, where they were measured.
    pub restricted: Option<(&'a [f64], f64)>,
    /// Whether the run ended because its loss or gradient was not finite.
    pub diverged: bool,
}

/// Why the run has its class.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// First and last step of the window.
    pub window: (u64, u64),
    /// Mean training accuracy over its last tenth; NaN if not measured.
    pub train_accuracy: f64,
    /// Mean and standard deviation of the test accuracy.
    pub test_accuracy: (f64, f64),
    /// Strongest period of the log test loss; none if the window is too short or too sparse for one.
    pub loss_period: Option<Period>,
    /// Strongest period of the norm.
    pub norm_period: Option<Period>,
    /// Amplitude of the log test loss; NaN without a period.
    pub loss_amplitude: f64,
    /// Amplitude of the norm over its median; NaN without a period.
    pub norm_amplitude: f64,
    /// Periods that fit into the window; 30 are wanted.
    pub periods: f64,
    /// The longest stretch with a test accuracy below the limit.
    pub longest_dip: Option<Episode>,
    /// All such stretches.
    pub dips: usize,
    /// Largest restricted loss in the longest dip over the level before grokking; none if it was not measured, so that
    /// a collapse was decided by the accuracy alone.
    pub restricted_share: Option<f64>,
    /// Whether the longest dip ended with a return to 0.95.
    pub returned: bool,
}

/// A run's class.
#[derive(Debug, Clone, PartialEq)]
pub struct Equilibrium {
    /// The class.
    pub class: Class,
    /// Why.
    pub evidence: Evidence,
}

/// Classes a run over its last window. Without a single test accuracy in it, or with a divergence, it failed.
///
/// # Errors
/// If series differ in length, or there are no steps.
pub fn classify(run: &Run<'_>, limits: &Limits, search: &Search) -> Result<Equilibrium> {
    let evidence = gather(run, limits, search)?;
    Ok(Equilibrium {
        class: decide(run, &evidence, limits),
        evidence,
    })
}

/// The classes with every limit but the window's length multiplied by each factor in turn (0.5 and 1.5, say), for one
/// evidence: `(name of the limit, factor, class)`. The accuracies of memory and of a fixed point scale by their distance
/// from 1.
pub fn sensitivity(
    run: &Run<'_>,
    evidence: &Evidence,
    limits: &Limits,
    factors: &[f64],
) -> Vec<(&'static str, f64, Class)> {
    type Change = fn(&mut Limits, f64);
    let changes: [(&'static str, Change); 7] = [
        ("collapsed", |l, f| l.collapsed *= f),
        ("train_accuracy", |l, f| {
            l.train_accuracy = 1.0 - (1.0 - l.train_accuracy) * f
        }),
        ("restricted_share", |l, f| l.restricted_share *= f),
        ("norm_amplitude", |l, f| l.norm_amplitude *= f),
        ("loss_amplitude", |l, f| l.loss_amplitude *= f),
        ("fixed_accuracy", |l, f| {
            l.fixed_accuracy = 1.0 - (1.0 - l.fixed_accuracy) * f
        }),
        ("fixed_deviation", |l, f| l.fixed_deviation *= f),
    ];
    changes
        .iter()
        .flat_map(|(name, change)| {
            factors.iter().map(move |&factor| {
                let mut limits = *limits;
                change(&mut limits, factor);
                let dips = Dips::find(run, evidence.window.0, limits.collapsed);
                let evidence = Evidence {
                    longest_dip: dips.longest,
                    restricted_share: dips.restricted_share,
                    ..evidence.clone()
                };
                (*name, factor, decide(run, &evidence, &limits))
            })
        })
        .collect()
}

fn gather(run: &Run<'_>, limits: &Limits, search: &Search) -> Result<Evidence> {
    let steps = run.steps;
    let restricted = run.restricted.map(|(values, _)| values);
    let series = [run.train_accuracy, run.test_accuracy, run.test_loss, run.weight_norm];
    if series.into_iter().chain(restricted).any(|s| s.len() != steps.len()) {
        return Err(Error::shape("the series of a run differ in length"));
    }
    let Some(&last) = steps.last() else {
        return Err(Error::shape("a run without steps has no class"));
    };
    let begin = steps.partition_point(|step| step + limits.window <= last);
    let steps = &steps[begin..];
    let test = &run.test_accuracy[begin..];
    let log_loss: Vec<f64> = run.test_loss[begin..].iter().map(|loss| loss.ln()).collect();
    let norm = &run.weight_norm[begin..];

    let finite = |values: &[f64]| values.iter().copied().filter(|x| !x.is_nan()).collect::<Vec<_>>();
    let tenth = steps.partition_point(|step| 10 * (last - step) > last - steps[0]);
    let accuracies = finite(test);
    let loss_period = period_of(steps, &log_loss, search);
    let norm_period = period_of(steps, norm, search);
    let dominant = loss_period.as_ref().map_or(f64::NAN, |found| found.period);
    let amplitude = |values: &[f64], found: &Option<Period>| {
        found.as_ref().map_or(f64::NAN, |found| amplitude(steps, values, found))
    };
    let dips = Dips::find(run, steps[0], limits.collapsed);
    Ok(Evidence {
        window: (steps[0], last),
        train_accuracy: mean(&finite(&run.train_accuracy[begin + tenth..])),
        test_accuracy: (mean(&accuracies), variance(&accuracies).sqrt()),
        loss_amplitude: amplitude(&log_loss, &loss_period),
        norm_amplitude: amplitude(norm, &norm_period) / median(&finite(norm)),
        periods: (last - steps[0]) as f64 / dominant,
        loss_period,
        norm_period,
        longest_dip: dips.longest,
        dips: dips.count,
        restricted_share: dips.restricted_share,
        returned: dips.longest.is_some_and(|dip| dip.recovered.is_some()),
    })
}

/// The stretches below a test accuracy.
struct Dips {
    longest: Option<Episode>,
    count: usize,
    restricted_share: Option<f64>,
}

impl Dips {
    fn find(run: &Run<'_>, first: u64, collapsed: f64) -> Self {
        let begin = run.steps.partition_point(|step| *step < first);
        let steps = &run.steps[begin..];
        let dips = below(steps, &run.test_accuracy[begin..], collapsed, GROKKED);
        let longest = dips.iter().copied().max_by_key(Episode::length);
        let restricted_share = run.restricted.zip(longest).and_then(|((values, level), dip)| {
            let inside = steps.iter().zip(&values[begin..]);
            inside
                .filter(|(step, value)| (dip.first..=dip.last).contains(*step) && !value.is_nan())
                .map(|(_, value)| value / level)
                .max_by(f64::total_cmp)
        });
        Self {
            longest,
            count: dips.len(),
            restricted_share,
        }
    }
}

fn period_of(steps: &[u64], values: &[f64], search: &Search) -> Option<Period> {
    let (times, values) = measured(steps, values);
    // A window too short, too sparse or not finite has no period: that is an answer here.
    period::find(&times, &values, search).ok()
}

fn amplitude(steps: &[u64], values: &[f64], found: &Period) -> f64 {
    let (times, values) = measured(steps, values);
    let flat = detrended(&times, &values, found.detrended_over);
    let mut heights = Vec::new();
    let mut begin = 0;
    while begin < times.len() {
        let end = begin + times[begin..].partition_point(|t| *t < times[begin] + found.period);
        // The last stretch counts only if it is whole.
        if end < times.len() {
            let (low, high) = flat[begin..end]
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                    (low.min(*x), high.max(*x))
                });
            heights.push(high - low);
        }
        begin = end;
    }
    median(&heights) / 2.0
}

fn decide(run: &Run<'_>, evidence: &Evidence, limits: &Limits) -> Class {
    let begin = run.steps.partition_point(|step| *step < evidence.window.0);
    let infinite = [run.train_accuracy, run.test_accuracy, run.test_loss, run.weight_norm]
        .iter()
        .any(|series| series[begin..].iter().any(|x| x.is_infinite()));
    let (accuracy, deviation) = evidence.test_accuracy;
    if run.diverged
        || infinite
        || accuracy.is_nan()
        || evidence.train_accuracy.is_nan()
        || evidence.train_accuracy < limits.train_accuracy
    {
        return Class::Failed;
    }
    let dominant = evidence.loss_period.as_ref().map_or(0.0, |found| found.period);
    let lost = evidence
        .longest_dip
        .is_some_and(|dip| dip.length() as f64 > dominant / 2.0)
        && evidence
            .restricted_share
            .is_none_or(|share| share >= limits.restricted_share);
    if lost {
        return Class::Collapse;
    }
    let significant = |found: &Option<Period>| found.as_ref().is_some_and(|found| found.significant);
    if significant(&evidence.loss_period)
        && significant(&evidence.norm_period)
        && evidence.norm_amplitude > limits.norm_amplitude
        && evidence.loss_amplitude > limits.loss_amplitude
    {
        return Class::Oscillation;
    }
    if accuracy > limits.fixed_accuracy && deviation < limits.fixed_deviation {
        return Class::FixedPoint;
    }
    Class::Hovering
}
