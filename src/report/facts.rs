//! What the head of a report says: the run in words, how it ended, its turning points.

use super::recorded::Recorded;
use super::words::{self, count, number};
use crate::analysis::transitions::{Gap, Transitions};
use crate::config::{Config, Stop};
use crate::record::{EndReason, RunInfo};

/// The head of a report.
pub struct Facts {
    /// Task, model and optimiser in a few words.
    pub title: String,
    /// The run in one sentence.
    pub sentence: String,
    /// Numbers to see at a glance.
    pub tiles: Vec<Tile>,
    /// Steps to mark in every chart over steps.
    pub marks: Vec<Mark>,
    /// Values at the turning points: columns of the table, and its rows.
    pub columns: Vec<(String, u64)>,
    /// A label and a value per column, where measured.
    pub rows: Vec<(&'static str, Vec<Option<String>>)>,
    /// The smaller print, label and value.
    pub details: Vec<(&'static str, String)>,
}

/// A number with its label and a remark.
pub struct Tile {
    /// What it is.
    pub label: &'static str,
    /// The number, in words.
    pub value: String,
    /// Its definition, or what qualifies it.
    pub remark: String,
}

/// A marked step.
#[derive(serde::Serialize)]
pub struct Mark {
    /// Where.
    pub step: u64,
    /// In a word.
    pub label: &'static str,
}

/// The quantities in the table of turning points: column, label.
const QUANTITIES: [(&str, &str); 9] = [
    ("train_loss", "training loss"),
    ("test_loss", "test loss"),
    ("train_accuracy", "training accuracy"),
    ("test_accuracy", "test accuracy"),
    ("cosine.erank_sigma", "effective rank, cosine"),
    ("raw.erank_sigma", "effective rank, raw"),
    ("mean_cosine", "mean cosine"),
    ("coherence_unbiased", "coherence, unbiased"),
    ("weight_norm", "weight norm"),
];

impl Facts {
    /// Gathers them from the configuration, `run.json` where there is one, and the metrics.
    pub fn gather(config: &Config, info: Option<&RunInfo>, recorded: &Recorded) -> Self {
        let nothing = vec![f64::NAN; recorded.steps.len()];
        let accuracy = |name| recorded.column(name).unwrap_or(&nothing);
        let turns = Transitions::find(recorded.steps, accuracy("train_accuracy"), accuracy("test_accuracy"));
        let mut marks = Vec::new();
        marks.extend(turns.memorised.map(|step| Mark {
            step,
            label: "memorised",
        }));
        marks.extend(turns.grokked.map(|step| Mark { step, label: "grokked" }));
        marks.extend(turns.collapsed.map(|step| Mark {
            step,
            label: "collapsed",
        }));

        let mut columns = Vec::new();
        columns.extend(recorded.steps.first().map(|step| ("start".to_owned(), *step)));
        columns.extend(marks.iter().map(|mark| (mark.label.to_owned(), mark.step)));
        columns.extend(recorded.last_step().map(|step| ("last row".to_owned(), step)));
        let rows = QUANTITIES
            .iter()
            .map(|(name, label)| {
                let values = columns.iter().map(|(_, step)| recorded.latest(name, *step).map(number));
                (*label, values.collect::<Vec<_>>())
            })
            .filter(|(_, values)| values.iter().any(Option::is_some))
            .collect();
        Self {
            title: format!(
                "{}, {}, {}",
                words::task(config),
                words::model(config),
                words::optimizer(config)
            ),
            sentence: words::sentence(config),
            tiles: tiles(&turns, config, info, recorded),
            marks,
            columns,
            rows,
            details: details(config, info, recorded),
        }
    }
}

fn tiles(turns: &Transitions, config: &Config, info: Option<&RunInfo>, recorded: &Recorded) -> Vec<Tile> {
    let step = |at: Option<u64>| at.map_or_else(|| "not yet".to_owned(), |step| format!("step {}", count(step)));
    let mut tiles = vec![
        Tile {
            label: "Memorised",
            value: step(turns.memorised),
            remark: "training accuracy ≥ 0.99".to_owned(),
        },
        Tile {
            label: "Grokked",
            value: step(turns.grokked),
            remark: "running median of test accuracy ≥ 0.95".to_owned(),
        },
        gap(turns.gap()),
    ];
    if turns.grokked.is_some() {
        tiles.push(afterwards(turns));
    }
    tiles.push(ending(config, info, recorded));
    if let Some(timings) = info.map(|info| &info.timings).filter(|t| t.steps_per_second > 0.0) {
        tiles.push(Tile {
            label: "Speed",
            value: format!("{} steps/s", number(timings.steps_per_second)),
            remark: format!("{} s, with measuring and recording", number(timings.wall_seconds)),
        });
    }
    tiles
}

fn gap(gap: Gap) -> Tile {
    let (value, remark) = match gap {
        Gap::Observed(steps) => {
            let ln = gap
                .ln()
                .map_or_else(|| "no logarithm".to_owned(), |ln| format!("ln = {ln:.2}"));
            let sign = if steps < 0 { "\u{2212}" } else { "" };
            let steps = count(steps.unsigned_abs());
            (
                format!("{sign}{steps} steps"),
                format!("from memorising to grokking, {ln}"),
            )
        }
        Gap::Censored(steps) => (
            format!("> {} steps", count(steps)),
            "censored: not grokked in the steps recorded".to_owned(),
        ),
        Gap::Undefined => ("–".to_owned(), "not memorised in the steps recorded".to_owned()),
    };
    Tile {
        label: "Gap",
        value,
        remark,
    }
}

fn afterwards(turns: &Transitions) -> Tile {
    let held = match turns.held_500 {
        Some(step) => format!("held ≥ 0.95 for 500 steps from step {}", count(step)),
        None => "not seen at ≥ 0.95 for 500 steps on end".to_owned(),
    };
    let (value, remark) = match turns.collapsed {
        Some(step) => (
            format!("collapsed, step {}", count(step)),
            format!("test accuracy < 0.5; {held}"),
        ),
        None => ("no collapse".to_owned(), held),
    };
    Tile {
        label: "After grokking",
        value,
        remark,
    }
}

fn ending(config: &Config, info: Option<&RunInfo>, recorded: &Recorded) -> Tile {
    let ended = info.and_then(|info| info.ended);
    let reached = ended
        .map(|ended| ended.step)
        .or(info.map(|info| info.step))
        .or(recorded.last_step())
        .unwrap_or(0);
    let remark = match ended.map(|ended| ended.reason) {
        Some(EndReason::Grokked) => match config.train.stop {
            Stop::Grokked { plus } => format!("stopped {} steps after grokking, as asked", count(plus.into())),
            Stop::Never => "stopped after grokking".to_owned(),
        },
        Some(EndReason::Steps) => "all steps made".to_owned(),
        Some(EndReason::Diverged) => "diverged: a loss or weight was no longer finite".to_owned(),
        Some(EndReason::Interrupted) => "interrupted; it can be resumed".to_owned(),
        None => "not ended when this page was written".to_owned(),
    };
    Tile {
        label: "Ended",
        value: format!("step {}", count(reached)),
        remark,
    }
}

fn details(config: &Config, info: Option<&RunInfo>, recorded: &Recorded) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    let mut add = |label, value: String| {
        if !value.is_empty() {
            details.push((label, value));
        }
    };
    if let Some(info) = info {
        add(
            "device",
            format!("{} ({}, {})", info.device, info.backend, info.precision),
        );
        add("driver", info.driver.clone().unwrap_or_default());
        if info.parameters > 0 {
            add("parameters", count(info.parameters));
        }
        if info.samples > 0 {
            add("training samples", count(info.samples));
        }
    }
    if let Some(n) = recorded.last_step().and_then(|last| recorded.latest("n", last)) {
        add("samples in the Gram", count(n as u64));
    }
    add("seed", config.task.seed.to_string());
    add("rows", count(recorded.steps.len() as u64));
    if let Some(info) = info {
        add("started", info.started.clone());
        add("version", info.version.clone());
    }
    details
}
