//! What one run came to: how it ended, its turning points, what it settled into, what it was like on the way.
//!
//! The names and meanings are those of `docs/sweeps.md`. A value that does not exist is absent.

use serde_json::{Map, Value, json};

use crate::analysis::equilibrium::{self, Class, Limits};
use crate::analysis::instabilities::{self, Rule};
use crate::analysis::period::Search;
use crate::analysis::series::{mean, median};
use crate::analysis::transitions::{Gap, Transitions};
use crate::record::{EndReason, MetricsTable, RunInfo};

/// Series in whose falls micro-instabilities are counted: they are measured at every step.
const AGREEMENTS: [&str; 3] = ["coherence", "temporal_cosine", "momentum_cosine"];
/// Steps before memorisation in which they are counted.
const BEFORE_MEMORISED: u64 = 100;
/// Steps from the start in which they are counted as well.
const AT_START: u64 = 200;
/// Quantities whose last values before a turning point are kept.
const QUANTITIES: [&str; 12] = [
    "train_loss",
    "test_loss",
    "train_accuracy",
    "test_accuracy",
    "raw.erank_sigma",
    "cosine.erank_sigma",
    "centred.erank_sigma",
    "mean_cosine",
    "coherence_unbiased",
    "per_sample_norm_log_sd",
    "gradient_norm",
    "weight_norm",
];
/// Effective ranks whose fall at grokking is told.
const RANKS: [&str; 3] = ["raw", "cosine", "centred"];
/// Steps on either side of grokking over which that fall is measured.
const AROUND_GROKKED: u64 = 500;
/// The search for a period is for many runs: no interval, and enough simulations for a false-alarm rate below 0.01.
const SEARCH: Search = Search {
    shortest: None,
    longest: None,
    simulations: 199,
    resamples: 0,
    seed: 0,
    level: 0.01,
    least_autocorrelation: 0.3,
};

/// The results of a run by name.
pub(super) fn summary(info: &RunInfo, table: &MetricsTable) -> Map<String, Value> {
    let mut found = Summary {
        table,
        results: Map::new(),
    };
    let diverged = info.ended.is_some_and(|ended| ended.reason == EndReason::Diverged);
    if let Some(ended) = info.ended {
        found.put("ended", json!(ended.reason.to_string()));
        found.put("steps", json!(ended.step));
    }
    let turns = Transitions::find(
        &table.steps,
        &found.column("train_accuracy"),
        &found.column("test_accuracy"),
    );
    found.turning_points(&turns);
    found.instabilities(turns.memorised);
    found.values("memorised", turns.memorised);
    found.values("grokked", turns.grokked);
    found.values("last", table.steps.last().copied());
    match turns.grokked {
        Some(step) => {
            found.rank_drops(step);
            found.afterwards(step, diverged);
        }
        None if diverged => found.put("equilibrium", json!(name(Class::Failed))),
        None => {}
    }
    found.results
}

struct Summary<'a> {
    table: &'a MetricsTable,
    results: Map<String, Value>,
}

impl Summary<'_> {
    fn put(&mut self, name: impl Into<String>, value: Value) {
        // What is not finite is null in JSON: it is absent here.
        if !value.is_null() {
            self.results.insert(name.into(), value);
        }
    }

    /// A column, or as many NaN where it was not measured.
    fn column(&self, name: &str) -> Vec<f64> {
        let nothing = || vec![f64::NAN; self.table.steps.len()];
        self.table.columns.get(name).cloned().unwrap_or_else(nothing)
    }

    /// The measured values of a column at steps from `first` to `last`.
    fn within(&self, name: &str, first: u64, last: u64) -> Vec<f64> {
        let measured = self.table.measured(name);
        measured
            .filter(|(step, _)| (first..=last).contains(step))
            .map(|(_, value)| value)
            .collect()
    }

    fn turning_points(&mut self, turns: &Transitions) {
        for (name, step) in [
            ("memorised", turns.memorised),
            ("grokked", turns.grokked),
            ("collapsed", turns.collapsed),
            ("held_500", turns.held_500),
        ] {
            self.put(name, json!(step));
        }
        let (gap, is_censored) = match turns.gap() {
            Gap::Observed(steps) => (json!(steps), json!(false)),
            Gap::Censored(steps) => (json!(steps), json!(true)),
            Gap::Undefined => (Value::Null, Value::Null),
        };
        self.put("gap", gap);
        self.put("censored", is_censored);
    }

    fn instabilities(&mut self, memorised: Option<u64>) {
        let windows = [
            (
                "before_memorised",
                memorised.map(|step| (step.saturating_sub(BEFORE_MEMORISED), step)),
            ),
            ("at_start", Some((0, AT_START - 1))),
        ];
        for agreement in AGREEMENTS {
            let values = self.column(agreement);
            for (window, ends) in windows {
                let Some((first, last)) = ends else { continue };
                let falls = instabilities::find(&self.table.steps, &values, first, last, &Rule::default());
                if falls.values > 0 {
                    self.put(format!("instabilities.{agreement}.{window}"), json!(falls.falls.len()));
                }
            }
        }
    }

    fn values(&mut self, when: &str, step: Option<u64>) {
        let Some(step) = step else { return };
        for quantity in QUANTITIES {
            let latest = self.table.measured(quantity).take_while(|(at, _)| *at <= step).last();
            if let Some((_, value)) = latest {
                self.put(format!("{when}.{quantity}"), json!(value));
            }
        }
    }

    fn rank_drops(&mut self, grokked: u64) {
        for form in RANKS {
            let column = format!("{form}.erank_sigma");
            let before = self.within(
                &column,
                grokked.saturating_sub(AROUND_GROKKED),
                grokked.saturating_sub(1),
            );
            let after = self.within(&column, grokked + 1, grokked + AROUND_GROKKED);
            self.put(
                format!("rank_drop.{form}"),
                json!(1.0 - median(&after) / median(&before)),
            );
        }
    }

    fn afterwards(&mut self, grokked: u64, diverged: bool) {
        let begin = self.table.steps.partition_point(|step| *step < grokked);
        let steps = &self.table.steps[begin..];
        let tail = |name: &str| self.column(name).split_off(begin);
        let (train, test, loss, norm) = (
            tail("train_accuracy"),
            tail("test_accuracy"),
            tail("test_loss"),
            tail("weight_norm"),
        );
        let run = equilibrium::Run {
            steps,
            train_accuracy: &train,
            test_accuracy: &test,
            test_loss: &loss,
            weight_norm: &norm,
            restricted: None,
            diverged,
        };
        // Series of equal length with a step in them have a class.
        let Ok(found) = equilibrium::classify(&run, &Limits::default(), &SEARCH) else {
            return;
        };
        let last = steps.last().copied().unwrap_or(grokked);
        let over = |name: &str| self.within(name, grokked, last);
        let (gradient, weights) = (median(&over("gradient_norm")), median(&over("weight_norm")));
        let zeros = mean(&over("zero_gradients")) / mean(&over("n_batch"));
        let evidence = found.evidence;
        self.put("equilibrium", json!(name(found.class)));
        self.put("steps_after", json!(last - grokked));
        self.put("dips", json!(evidence.dips));
        if let Some(period) = &evidence.loss_period {
            self.put("period", json!(period.period));
            self.put("period_false_alarm", json!(period.false_alarm));
            self.put("period_significant", json!(period.significant));
        }
        self.put("loss_amplitude", json!(evidence.loss_amplitude));
        self.put("norm_amplitude", json!(evidence.norm_amplitude));
        self.put("after.gradient_norm", json!(gradient));
        self.put("after.weight_norm", json!(weights));
        self.put("after.zero_gradients", json!(zeros));
    }
}

/// The name of a class.
fn name(class: Class) -> &'static str {
    match class {
        Class::Failed => "failed",
        Class::Collapse => "collapse",
        Class::Oscillation => "oscillation",
        Class::FixedPoint => "fixed_point",
        Class::Hovering => "hovering",
    }
}
