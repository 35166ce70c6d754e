//! Numbers that follow a schedule over the steps of a run, and schedules of measurements. Both are evaluated on the
//! device, by kernel `control`, from the slot's own step: here is how they are written, and how they are handed over.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::control;

/// A hyper-parameter: one number, or one that follows a schedule. Written as a number or as
/// `{ steps = [0, 1000], values = [0, 1], kind = "linear" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scheduled {
    /// The same at every step.
    Constant(f64),
    /// Piecewise.
    Piecewise(Piecewise),
}

/// Values at given steps, and what holds between them. Before the first point the first value holds, after the last the
/// last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piecewise {
    /// Steps of the points, strictly increasing; the first update is that of step 0.
    pub steps: Vec<u32>,
    /// The value at each of them.
    pub values: Vec<f64>,
    /// What holds between two points.
    #[serde(default)]
    pub kind: Interpolation,
}

/// What holds between two points of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The value of the point before.
    Step,
    /// The straight line between both.
    #[default]
    Linear,
}

/// Most measurements per decade of a log-spaced cadence.
pub const MAX_PER_DECADE: u32 = 100;

/// Most points of a schedule.
pub const MAX_POINTS: usize = 16;

impl From<f64> for Scheduled {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl Scheduled {
    /// Its value for the update of this step.
    pub fn at(&self, step: u64) -> f64 {
        let points = match self {
            Self::Constant(value) => return *value,
            Self::Piecewise(points) => points,
        };
        let next = points.steps.iter().position(|at| u64::from(*at) > step);
        match next {
            None => points.values.last().copied().unwrap_or(f64::NAN),
            Some(0) => points.values[0],
            Some(next) => {
                let (x, y) = (&points.steps[next - 1..=next], &points.values[next - 1..=next]);
                match points.kind {
                    Interpolation::Step => y[0],
                    Interpolation::Linear => {
                        let share = (step - u64::from(x[0])) as f64 / f64::from(x[1] - x[0]);
                        y[0] + (y[1] - y[0]) * share
                    }
                }
            }
        }
    }

    /// All numbers it takes at its points.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::Constant(value) => std::slice::from_ref(value),
            Self::Piecewise(points) => &points.values,
        }
    }

    /// Whether it is 0 at every step.
    pub fn is_zero(&self) -> bool {
        self.values().iter().all(|value| *value == 0.0)
    }

    /// Whether its points can be, and all its numbers pass.
    pub fn is_valid(&self, passes: impl Fn(f64) -> bool) -> bool {
        let shaped = match self {
            Self::Constant(_) => true,
            Self::Piecewise(points) => {
                (1..=MAX_POINTS).contains(&points.steps.len())
                    && points.steps.len() == points.values.len()
                    && points.steps.windows(2).all(|pair| pair[0] < pair[1])
            }
        };
        shaped && self.values().iter().all(|value| passes(*value))
    }

    /// Puts it into a slot's settings, for the rates `places`: the value at step 0 in place, points behind what is there.
    pub(crate) fn write(&self, settings: &mut [f64], places: std::ops::Range<usize>) {
        settings[places.clone()].fill(self.at(0));
        let Self::Piecewise(points) = self else { return };
        let mut at = control::POINTS;
        while settings[at + control::POINTS_COUNT] != 0.0 {
            at += control::POINTS_HEAD + 2 * settings[at + control::POINTS_COUNT] as usize;
        }
        let entry = &mut settings[at..];
        entry[control::POINTS_FIRST] = places.start as f64;
        entry[control::POINTS_END] = places.end as f64;
        entry[control::POINTS_LINEAR] = f64::from(u8::from(points.kind == Interpolation::Linear));
        entry[control::POINTS_COUNT] = points.steps.len() as f64;
        let numbers = &mut entry[control::POINTS_HEAD..];
        for (pair, (step, value)) in numbers.chunks_exact_mut(2).zip(points.steps.iter().zip(&points.values)) {
            pair.copy_from_slice(&[f64::from(*step), *value]);
        }
    }
}

impl fmt::Display for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => value.fmt(f),
            Self::Piecewise(points) => write!(
                f,
                "{{ steps = {:?}, values = {:?}, kind = \"{}\" }}",
                points.steps,
                points.values,
                match points.kind {
                    Interpolation::Step => "step",
                    Interpolation::Linear => "linear",
                }
            ),
        }
    }
}

/// When something is measured. Written as a number of steps, as `{ log = 20 }`, or as
/// `{ every = 50, dense = 5, around = "grokked", width = 200 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cadence {
    /// At every multiple of so many steps; 0 for never.
    Every(u32),
    /// At steps that are spaced evenly on a logarithmic scale.
    Log(LogCadence),
    /// At multiples of a number of steps, and more often after a transition.
    Dense(DenseCadence),
}

/// Log-spaced steps: 0, and from then on each the next step or later than the one before by a factor 10^(1/log).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogCadence {
    /// Measurements per decade.
    pub log: u32,
}

/// Multiples of `every`, and from the step at which the transition is noticed, for `width` steps, multiples of `dense`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseCadence {
    /// Steps between measurements; 0 for none outside the window.
    pub every: u32,
    /// Steps between measurements in the window.
    pub dense: u32,
    /// Which transition opens the window.
    pub around: Transition,
    /// Steps for which it stays open.
    pub width: u32,
}

/// A transition that a run notices itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The first evaluation with a train accuracy of at least 0.99.
    Memorised,
    /// The first evaluation at which the running median of the test accuracy is at least 0.95.
    Grokked,
}

impl From<u32> for Cadence {
    fn from(every: u32) -> Self {
        Self::Every(every)
    }
}

impl Cadence {
    /// Whether it is never due.
    pub fn is_never(self) -> bool {
        self == Self::Every(0)
    }

    /// Whether it is never due before a transition.
    pub fn starts_never(self) -> bool {
        matches!(self, Self::Every(0) | Self::Dense(DenseCadence { every: 0, .. }))
    }

    /// Whether its numbers can be.
    pub fn is_valid(self) -> bool {
        match self {
            Self::Every(_) => true,
            Self::Log(LogCadence { log }) => (1..=MAX_PER_DECADE).contains(&log),
            Self::Dense(DenseCadence { dense, width, .. }) => dense > 0 && width > 0,
        }
    }

    /// What the control block holds of it.
    pub(crate) fn words(self) -> control::Schedule {
        match self {
            Self::Every(every) => control::Schedule {
                every,
                ..control::Schedule::default()
            },
            Self::Log(LogCadence { log }) => control::Schedule {
                mode: control::LOG,
                every: (((std::f64::consts::LN_10 / f64::from(log)).exp_m1()) * f64::from(control::GROWTH_ONE)).round()
                    as u32,
                ..control::Schedule::default()
            },
            Self::Dense(dense) => control::Schedule {
                mode: match dense.around {
                    Transition::Memorised => control::AROUND_MEMORISED,
                    Transition::Grokked => control::AROUND_GROKKED,
                },
                every: dense.every,
                dense: dense.dense,
                width: dense.width,
                next: 0,
            },
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => every.fmt(f),
            Self::Log(LogCadence { log }) => write!(f, "{{ log = {log} }}"),
            Self::Dense(DenseCadence {
                every,
                dense,
                around,
                width,
            }) => {
                let around = match around {
                    Transition::Memorised => "memorised",
                    Transition::Grokked => "grokked",
                };
                write!(
                    f,
                    "{{ every = {every}, dense = {dense}, around = \"{around}\", width = {width} }}"
                )
            }
        }
    }
}
