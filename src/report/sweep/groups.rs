//! The runs of a sweep by the values of an axis.

use crate::analysis::bootstrap;
use crate::analysis::survival::{self, Point};
use crate::sweep::{EndedRun, SweepSpec};

/// Bootstrap samples of a median.
const RESAMPLES: u32 = 400;

/// Runs with one value of an axis.
pub(super) struct Group<'a> {
    /// The value, as it is shown.
    pub label: String,
    /// They.
    pub runs: Vec<&'a EndedRun>,
}

/// The axes with several values among the runs, but for the seed.
pub(super) fn swept<'a>(spec: &'a SweepSpec, runs: &[EndedRun]) -> Vec<&'a str> {
    let axes = spec.axes.iter().map(String::as_str);
    axes.filter(|axis| *axis != "task.seed" && by(runs.iter(), axis).len() > 1)
        .collect()
}

/// The runs by the value of an axis, in the order of the runs.
pub(super) fn by<'a>(runs: impl Iterator<Item = &'a EndedRun>, axis: &str) -> Vec<Group<'a>> {
    by_label(runs, |run| run.run.value(axis).trim_matches('"').to_owned())
}

/// The runs by the values of several axes together.
pub(super) fn by_all<'a>(runs: impl Iterator<Item = &'a EndedRun>, axes: &[&str]) -> Vec<Group<'a>> {
    by_label(runs, |run| {
        let values = axes.iter().map(|axis| run.run.value(axis).trim_matches('"').to_owned());
        values.collect::<Vec<_>>().join(" · ")
    })
}

fn by_label<'a>(runs: impl Iterator<Item = &'a EndedRun>, label: impl Fn(&EndedRun) -> String) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for run in runs {
        let label = label(run);
        match groups.iter_mut().find(|group| group.label == label) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { label, runs: vec![run] }),
        }
    }
    groups
}

/// Time from memorising to grokking, and whether it was seen to its end; none of a run that did not memorise, or that
/// grokked no later than it memorised.
pub(super) fn gap(run: &EndedRun) -> Option<(f64, bool)> {
    let gap = run.number("gap").filter(|gap| *gap > 0.0)?;
    Some((gap, run.results.get("censored")?.as_bool() == Some(false)))
}

/// The survival curve of the gaps of some runs.
pub(super) fn curve(runs: &[&EndedRun]) -> Vec<Point> {
    let (times, seen): (Vec<f64>, Vec<bool>) = runs.iter().filter_map(|run| gap(run)).unzip();
    survival::kaplan_meier(&times, &seen).unwrap_or_default()
}

/// Median gap with a 95 % percentile interval over resampled runs; none if fewer than half are known to have grokked. A
/// resample without a median counts for neither end.
pub(super) fn median_gap(runs: &[&EndedRun]) -> Option<(f64, (f64, f64))> {
    let with_gap: Vec<&EndedRun> = runs.iter().copied().filter(|run| gap(run).is_some()).collect();
    let median_of = |runs: &[&EndedRun]| survival::median(&curve(runs));
    let middle = median_of(&with_gap)?;
    let resampled = |chosen: &[usize]| {
        let runs: Vec<&EndedRun> = chosen.iter().map(|k| with_gap[*k]).collect();
        median_of(&runs).unwrap_or(f64::NAN)
    };
    Some((
        middle,
        bootstrap::interval(with_gap.len(), resampled, 0.95, RESAMPLES, 0),
    ))
}
