//! What a run shows while it goes on: a bar on a terminal, else a line every few seconds.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::record::{MetricsRow, Observer};

/// Seconds between lines where there is no terminal.
pub(super) const LINE_EVERY: Duration = Duration::from_secs(5);

/// The columns shown, and what they are called.
const SHOWN: [(&str, &str); 5] = [
    ("train_loss", "train loss"),
    ("test_loss", "test loss"),
    ("train_accuracy", "train acc"),
    ("test_accuracy", "test acc"),
    ("raw.erank_sigma", "erank"),
];

/// Shows progress on stderr.
pub(super) struct Progress {
    display: Display,
    latest: BTreeMap<&'static str, f64>,
    started: Option<(Instant, u64)>,
}

enum Display {
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
    Nothing,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let display = if quiet {
            Display::Nothing
        } else if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:24} {msg}");
            let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Display::Bar(bar)
        } else {
            Display::Lines { last: None }
        };
        Self {
            display,
            latest: BTreeMap::new(),
            started: None,
        }
    }

    /// Removes the bar, so that what is printed next begins on a line of its own.
    pub fn finish(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }

    fn describe(&mut self, step: u64, steps: u64) -> String {
        let (since, first) = *self.started.get_or_insert((Instant::now(), step));
        let mut text = format!("step {step}/{steps}");
        for (column, label) in SHOWN {
            if let Some(value) = self.latest.get(column) {
                text += &format!("  {label} {}", short(*value));
            }
        }
        let rate = (step - first) as f64 / since.elapsed().as_secs_f64();
        if step > first && rate.is_finite() {
            let left = Duration::from_secs_f64((steps.saturating_sub(step)) as f64 / rate);
            text += &format!("  {rate:.0} steps/s  at most {} left", clock(left));
        }
        text
    }
}

impl Observer for Progress {
    fn rows(&mut self, rows: &[MetricsRow], columns: &[String]) {
        for (column, _) in SHOWN {
            let Some(c) = columns.iter().position(|name| name == column) else {
                continue;
            };
            let measured = rows.iter().rev().map(|row| row.values[c]).find(|v| !v.is_nan());
            if let Some(value) = measured {
                self.latest.insert(column, value);
            }
        }
    }

    fn step(&mut self, step: u64, steps: u64) {
        let text = self.describe(step, steps);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_length(steps);
                bar.set_position(step);
                bar.set_message(text);
            }
            Display::Lines { last } => {
                if step == steps || last.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
                    *last = Some(Instant::now());
                    eprintln!("{text}");
                }
            }
            Display::Nothing => {}
        }
    }
}

/// A number in four digits or so, whatever its size.
fn short(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.2e}")
    }
}

/// `1:02:03` or `2:03`.
pub(super) fn clock(time: Duration) -> String {
    let s = time.as_secs();
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_measured_values_are_shown() {
        let mut progress = Progress::new(true);
        let columns = [
            "train_loss".to_owned(),
            "raw.erank_sigma".to_owned(),
            "other".to_owned(),
        ];
        let row = |step, values: [f64; 3]| MetricsRow {
            run: 0,
            step,
            values: values.to_vec(),
        };
        let rows = [row(0, [4.5, 220.0, 1.0]), row(1, [2.25e-7, f64::NAN, 1.0])];
        progress.rows(&rows, &columns);
        assert_eq!(progress.describe(2, 9), "step 2/9  train loss 2.25e-7  erank 220.0000");
        assert_eq!(
            (clock(Duration::from_secs(123)), clock(Duration::from_secs(3723))),
            ("2:03".into(), "1:02:03".into())
        );
    }
}
