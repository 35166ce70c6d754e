//! When a run memorised, when it grokked, and whether it kept what it learnt.
//!
//! - **Memorisation** t_m: the first step with a training accuracy of at least 0.99.
//! - **Grokking** t_g: the first evaluation at which the running median of the test accuracy over the 50 steps up to
//!   it is at least 0.95. The evaluations may be any number of steps apart; the median is over those inside the
//!   window, of which the newest is always one.
//! - **Gap** t_g - t_m. A run that ends before t_g is censored: its gap is known to be longer than what was seen.
//! - **Collapse**: the first evaluation after t_g with a test accuracy below 0.5.
//! - **Held**: the first step from which the test accuracy stays at or above 0.95 for 500 steps. A run that
//!   oscillates can grok without ever holding.

use super::series::median;

/// Training accuracy at which a run has memorised.
pub const MEMORISED: f64 = 0.99;
/// Test accuracy at which a run has grokked, and above which it holds.
pub const GROKKED: f64 = 0.95;
/// Steps of the window of the running median.
pub const MEDIAN_WINDOW: u64 = 50;
/// Test accuracy below which a grokked run has collapsed.
pub const COLLAPSED: f64 = 0.5;
/// Steps for which a run must hold its accuracy.
pub const HOLD: u64 = 500;

/// The turning points of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transitions {
    /// t_m
    pub memorised: Option<u64>,
    /// t_g
    pub grokked: Option<u64>,
    /// First collapse after t_g.
    pub collapsed: Option<u64>,
    /// First step from which the test accuracy held for [`HOLD`] steps.
    pub held_500: Option<u64>,
    /// The last step at which the test accuracy was evaluated: where a run that did not grok is censored.
    pub last: Option<u64>,
}

/// The time from memorisation to grokking, as far as the run tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// t_g - t_m; negative where generalising came first.
    Observed(i64),
    /// Memorised and not grokked: the gap is longer than this many steps.
    Censored(u64),
    /// Never memorised, so that there is nothing to count from.
    Undefined,
}

impl Gap {
    /// Natural logarithm of an observed gap of at least one step.
    pub fn ln(self) -> Option<f64> {
        match self {
            Self::Observed(steps) if steps > 0 => Some((steps as f64).ln()),
            _ => None,
        }
    }
}

impl Transitions {
    /// Finds the turning points in the accuracies on both splits, evaluated at `steps` (NaN where not).
    pub fn find(steps: &[u64], train_accuracy: &[f64], test_accuracy: &[f64]) -> Self {
        let grokked = grokking_step(steps, test_accuracy);
        Self {
            memorised: memorisation_step(steps, train_accuracy),
            grokked,
            collapsed: grokked.and_then(|t_g| collapse_step(steps, test_accuracy, t_g)),
            held_500: held_from(steps, test_accuracy, GROKKED, HOLD),
            last: measured(steps, test_accuracy).last().map(|(step, _)| step),
        }
    }

    /// The time from memorisation to grokking.
    pub fn gap(&self) -> Gap {
        match (self.memorised, self.grokked) {
            (Some(t_m), Some(t_g)) => Gap::Observed(t_g as i64 - t_m as i64),
            (Some(t_m), None) => Gap::Censored(self.last.unwrap_or(t_m).saturating_sub(t_m)),
            (None, _) => Gap::Undefined,
        }
    }
}

/// t_m: the first step with a training accuracy of at least [`MEMORISED`].
pub fn memorisation_step(steps: &[u64], train_accuracy: &[f64]) -> Option<u64> {
    measured(steps, train_accuracy)
        .find(|&(_, accuracy)| accuracy >= MEMORISED)
        .map(|(step, _)| step)
}

/// t_g: the first evaluation at which the median of the test accuracies of the [`MEDIAN_WINDOW`] steps up to it is at
/// least [`GROKKED`].
pub fn grokking_step(steps: &[u64], test_accuracy: &[f64]) -> Option<u64> {
    let evaluations: Vec<(u64, f64)> = measured(steps, test_accuracy).collect();
    let mut begin = 0;
    for (i, &(step, _)) in evaluations.iter().enumerate() {
        while evaluations[begin].0 + MEDIAN_WINDOW <= step {
            begin += 1;
        }
        let window: Vec<f64> = evaluations[begin..=i].iter().map(|&(_, accuracy)| accuracy).collect();
        if median(&window) >= GROKKED {
            return Some(step);
        }
    }
    None
}

/// The first evaluation after `grokked` with a test accuracy below [`COLLAPSED`].
pub fn collapse_step(steps: &[u64], test_accuracy: &[f64], grokked: u64) -> Option<u64> {
    measured(steps, test_accuracy)
        .find(|&(step, accuracy)| step > grokked && accuracy < COLLAPSED)
        .map(|(step, _)| step)
}

/// The first evaluation t with no value below `threshold` in [t, t + hold], seen to the end: an evaluation at
/// t + `hold` or later is needed, so that a run which ends early has not held.
pub fn held_from(steps: &[u64], values: &[f64], threshold: f64, hold: u64) -> Option<u64> {
    let mut since = None;
    for (step, value) in measured(steps, values) {
        let start = *since.get_or_insert(step);
        // The interval is closed by the first evaluation at or past its end; a failure past the end comes too late.
        if step > start + hold || (step == start + hold && value >= threshold) {
            return Some(start);
        }
        if value < threshold {
            since = None;
        }
    }
    None
}

fn measured<'a>(steps: &'a [u64], values: &'a [f64]) -> impl Iterator<Item = (u64, f64)> + 'a {
    steps
        .iter()
        .copied()
        .zip(values.iter().copied())
        .filter(|(_, value)| !value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step function: `low` before `at`, `high` from there, evaluated every `every` steps up to `end`.
    fn rise(at: u64, every: usize, end: u64, low: f64, high: f64) -> (Vec<u64>, Vec<f64>) {
        (0..=end)
            .step_by(every)
            .map(|step| (step, if step >= at { high } else { low }))
            .unzip()
    }

    #[test]
    fn a_run_that_groks() {
        let (steps, train) = rise(100, 1, 2000, 0.3, 1.0);
        let (_, test) = rise(1000, 1, 2000, 0.02, 0.98);
        let found = Transitions::find(&steps, &train, &test);
        assert_eq!(found.memorised, Some(100));
        // The window holds 50 evaluations: half of them must be high. With 25 of 50 the median is the mean of 0.02
        // and 0.98, so it takes 26.
        assert_eq!(found.grokked, Some(1025));
        assert_eq!(found.collapsed, None);
        assert_eq!(found.held_500, Some(1000));
        assert_eq!(found.gap(), Gap::Observed(925));
        assert!((found.gap().ln().unwrap() - 925f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn the_median_is_over_the_evaluations_inside_the_window() {
        // Every 10 steps: five evaluations in (t - 50, t], three of which must be high.
        let (steps, test) = rise(1000, 10, 2000, 0.02, 0.98);
        assert_eq!(grokking_step(&steps, &test), Some(1020));
        // Every 7 steps: eight evaluations from t - 49 to t, five of which must be high; the first high one is 1001.
        let (steps, test) = rise(1000, 7, 2000, 0.02, 0.98);
        assert_eq!(grokking_step(&steps, &test), Some(1029));
        // Further apart than the window: each evaluation is its own median.
        let (steps, test) = rise(1000, 64, 2000, 0.02, 0.98);
        assert_eq!(grokking_step(&steps, &test), Some(1024));
        // Exactly as far apart: the window is open at its old end.
        let (steps, test) = rise(1000, 50, 2000, 0.02, 0.98);
        assert_eq!(grokking_step(&steps, &test), Some(1000));
    }

    #[test]
    fn one_high_evaluation_is_not_grokking() {
        let (steps, mut test) = rise(5000, 10, 2000, 0.02, 0.98);
        test[50] = 1.0;
        test[51] = 1.0;
        assert_eq!(grokking_step(&steps, &test), None);
    }

    #[test]
    fn missing_evaluations_are_no_evaluations() {
        // Rows at every step, evaluated every 10 steps: the same answer as the series of evaluations alone.
        let (steps, dense) = rise(1000, 1, 2000, 0.02, 0.98);
        let sparse: Vec<f64> = steps
            .iter()
            .zip(&dense)
            .map(|(step, v)| if step % 10 == 0 { *v } else { f64::NAN })
            .collect();
        assert_eq!(grokking_step(&steps, &sparse), Some(1020));
        assert_eq!(memorisation_step(&steps, &sparse), None);
        let nothing = vec![f64::NAN; steps.len()];
        assert_eq!(Transitions::find(&steps, &nothing, &nothing), Transitions::default());
        assert_eq!(Transitions::find(&[], &[], &[]).gap(), Gap::Undefined);
    }

    #[test]
    fn a_run_that_ends_first_is_censored() {
        let (steps, train) = rise(200, 10, 3000, 0.3, 0.995);
        let (_, test) = rise(9000, 10, 3000, 0.02, 0.98);
        let found = Transitions::find(&steps, &train, &test);
        assert_eq!(found.grokked, None);
        assert_eq!(found.gap(), Gap::Censored(2800));
        assert_eq!(found.gap().ln(), None);
    }

    #[test]
    fn generalising_first_has_a_negative_gap_and_no_log() {
        let (steps, train) = rise(500, 10, 1000, 0.9, 1.0);
        let (_, test) = rise(100, 10, 1000, 0.02, 0.98);
        let gap = Transitions::find(&steps, &train, &test).gap();
        assert_eq!(gap, Gap::Observed(120 - 500));
        assert_eq!(gap.ln(), None);
    }

    #[test]
    fn collapse_counts_only_after_grokking() {
        let (steps, mut test) = rise(1000, 10, 2000, 0.02, 0.98);
        test[150] = 0.4;
        assert_eq!(collapse_step(&steps, &test, 1020), Some(1500));
        assert_eq!(collapse_step(&steps, &test, 1500), None);
    }

    #[test]
    fn an_oscillating_run_groks_without_holding() {
        let steps: Vec<u64> = (0..=3000).step_by(10).collect();
        let test: Vec<f64> = steps.iter().map(|s| if s % 200 == 0 { 0.7 } else { 0.99 }).collect();
        let found = Transitions::find(&steps, &vec![1.0; steps.len()], &test);
        assert!(found.grokked.is_some());
        assert_eq!(found.held_500, None);
    }

    #[test]
    fn holding_must_be_seen_to_its_end() {
        let (steps, test) = rise(1000, 10, 1490, 0.02, 0.98);
        assert_eq!(held_from(&steps, &test, GROKKED, HOLD), None);
        let (steps, test) = rise(1000, 10, 1500, 0.02, 0.98);
        assert_eq!(held_from(&steps, &test, GROKKED, HOLD), Some(1000));
        // A failure at the very end of the interval is inside it; one step later it is not.
        assert_eq!(held_from(&[0, 500], &[1.0, 0.1], GROKKED, HOLD), None);
        assert_eq!(held_from(&[0, 501], &[1.0, 0.1], GROKKED, HOLD), Some(0));
        assert_eq!(held_from(&[0, 600], &[0.1, 0.1], GROKKED, HOLD), None);
    }
}
