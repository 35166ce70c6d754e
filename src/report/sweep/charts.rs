//! The pictures: learning curves side by side, the gap along each axis, and how many have not grokked yet.

use plotly::Scatter;
use plotly::common::{ErrorData, ErrorType, Line as Stroke, LineShape, Marker, MarkerSymbol, Mode};
use plotly::layout::Axis;

use super::groups::{Group, by, curve, gap, median_gap};
use super::section;
use crate::record::MetricsTable;
use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::charts::Section;
use crate::report::recorded::{Recorded, round};
use crate::report::style::colors::{BLACK, BLUE, GREY, cycle};
use crate::sweep::EndedRun;

/// Most panels of learning curves, and most survival curves in a chart.
const MOST: usize = 12;
/// Width over which runs of one value are spread, of the distance between two values.
const SPREAD: f64 = 0.5;

/// All charts. With no axis, all runs are one group.
pub(super) fn draw(runs: &[EndedRun], axes: &[&str]) -> Vec<Section> {
    let nothing = MetricsTable::default();
    let nothing = Recorded::new(&nothing);
    vec![
        section("curves", "Learning", curves(&nothing, runs, axes)),
        section(
            "gaps",
            "From memorising to grokking",
            axes.iter()
                .enumerate()
                .map(|(k, axis)| gaps(&nothing, runs, k, axis))
                .collect(),
        ),
        section(
            "survival",
            "How many have not grokked yet",
            survival(&nothing, runs, axes),
        ),
    ]
}

/// A panel for each value of the first axis, the runs coloured by the second.
fn curves(nothing: &Recorded, runs: &[EndedRun], axes: &[&str]) -> Vec<Drawn> {
    let panels = match axes.first() {
        Some(axis) => by(runs.iter(), axis),
        None => vec![Group {
            label: "all runs".to_owned(),
            runs: runs.iter().collect(),
        }],
    };
    let last = runs
        .iter()
        .filter_map(|run| Some(run.curve.last()?.0))
        .max()
        .unwrap_or(1);
    panels
        .iter()
        .take(MOST)
        .enumerate()
        .map(|(k, panel)| {
            let title = axes.first().map_or_else(|| panel.label.clone(), |axis| format!("{axis} = {}", panel.label));
            let mut sketch = Sketch::new(nothing, format!("chart-curves-{k}"), title)
                .own_x(Axis::new().title("step").range(vec![0.0, last as f64]))
                .y("test accuracy", Scale::Linear)
                .with_zero();
            let colours = match axes.get(1) {
                Some(axis) => by(panel.runs.iter().copied(), axis),
                None => Vec::new(),
            };
            for run in &panel.runs {
                let place = colours.iter().position(|group| group.runs.iter().any(|other| std::ptr::eq(*other, *run)));
                let colour = place.map_or(BLUE, cycle);
                let (steps, values): (Vec<u64>, Vec<f64>) = run.curve.iter().map(|(s, v)| (*s, round(*v))).unzip();
                let mut trace = Scatter::new(steps, values)
                    .mode(Mode::Lines)
                    .line(Stroke::new().color(colour).width(1.0))
                    .name(run.run.number.to_string())
                    .show_legend(false);
                // The first run of a colour stands for it in the legend.
                if let Some(place) = place.filter(|place| std::ptr::eq(colours[*place].runs[0], *run)) {
                    trace = trace.name(&colours[place].label).show_legend(true);
                }
                sketch = sketch.trace(trace);
            }
            let coloured = axes.get(1).map_or_else(String::new, |axis| format!(" Colours: {axis}."));
            let cut = if panels.len() > MOST {
                format!(" The first {MOST} of {} values.", panels.len())
            } else {
                String::new()
            };
            sketch
                .caption(match k {
                    0 => format!(
                        "Test accuracy of every run, the least and greatest of each hundredth of its evaluations.{coloured}{cut}"
                    ),
                    _ => String::new(),
                })
                .finish()
        })
        .collect()
}

/// The gap of every run against an axis, with the medians.
fn gaps(nothing: &Recorded, runs: &[EndedRun], k: usize, axis: &str) -> Drawn {
    let groups = by(runs.iter(), axis);
    let title = format!("Gap against {axis}");
    let ticks: Vec<f64> = (0..groups.len()).map(|place| place as f64).collect();
    let labels: Vec<String> = groups.iter().map(|group| group.label.clone()).collect();
    let x_axis = Axis::new().title(axis).tick_values(ticks).tick_text(labels);
    let mut sketch = Sketch::new(nothing, format!("chart-gap-{k}"), title)
        .own_x(x_axis)
        .y("steps from memorising to grokking", Scale::Log);
    let mut has_any = false;
    for (is_seen, name, symbol) in [
        (true, "a run", MarkerSymbol::Circle),
        (false, "a run that ended before: at least", MarkerSymbol::TriangleUpOpen),
    ] {
        let (mut x, mut y, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for (place, group) in groups.iter().enumerate() {
            for (j, run) in group.runs.iter().enumerate() {
                let Some((gap, _)) = gap(run).filter(|(_, seen)| *seen == is_seen) else {
                    continue;
                };
                let share = (j as f64 + 0.5) / group.runs.len() as f64 - 0.5;
                x.push(round(place as f64 + SPREAD * share));
                y.push(gap);
                texts.push(format!("run {}: {gap} steps", run.run.number));
            }
        }
        if !x.is_empty() {
            has_any = true;
            let trace = Scatter::new(x, y)
                .mode(Mode::Markers)
                .marker(
                    Marker::new()
                        .color(if is_seen { BLUE } else { GREY })
                        .symbol(symbol)
                        .size(5),
                )
                .name(name)
                .text_array(texts)
                .hover_template("%{text}");
            sketch = sketch.trace(trace);
        }
    }
    let (mut x, mut y, mut above, mut below) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, group) in groups.iter().enumerate() {
        if let Some((median, (low, high))) = median_gap(&group.runs) {
            x.push(place as f64);
            y.push(median);
            above.push((high - median).max(0.0));
            below.push((median - low).max(0.0));
        }
    }
    if !x.is_empty() {
        let errors = ErrorData::new(ErrorType::Data)
            .array(above)
            .array_minus(below)
            .symmetric(false);
        let trace = Scatter::new(x, y)
            .mode(Mode::Markers)
            .marker(Marker::new().color(BLACK).symbol(MarkerSymbol::DiamondOpen).size(9))
            .error_y(errors)
            .name("median, 95 % interval");
        sketch = sketch.trace(trace);
    }
    if !has_any {
        sketch = sketch.lacks("gap");
    }
    sketch
        .caption(
            "Steps from memorising (training accuracy of at least 0.99) to grokking (running median of the test accuracy of \
             at least 0.95). Medians count runs that ended before they grokked (Kaplan and Meier); intervals are of \
             resampled runs.",
        )
        .finish()
}

/// For each axis, a curve for each of its values.
fn survival(nothing: &Recorded, runs: &[EndedRun], axes: &[&str]) -> Vec<Drawn> {
    let sketch_of = |k: usize, title: String, groups: &[Group]| {
        let mut sketch = Sketch::new(nothing, format!("chart-survival-{k}"), title)
            .own_x(Axis::new().title("steps since memorising"))
            .y("share not grokked yet", Scale::Linear)
            .with_zero();
        let mut has_any = false;
        for (place, group) in groups.iter().take(MOST).enumerate() {
            let curve = curve(&group.runs);
            let end = group
                .runs
                .iter()
                .filter_map(|run| gap(run))
                .map(|(gap, _)| gap)
                .fold(0.0, f64::max);
            if curve.is_empty() && end == 0.0 {
                continue;
            }
            has_any = true;
            let last = curve.last().map_or(1.0, |point| point.share);
            let x = [0.0]
                .into_iter()
                .chain(curve.iter().map(|point| point.time))
                .chain([end]);
            let y = [1.0]
                .into_iter()
                .chain(curve.iter().map(|point| round(point.share)))
                .chain([last]);
            let trace = Scatter::new(x.collect(), y.collect())
                .mode(Mode::Lines)
                .line(Stroke::new().color(cycle(place)).width(1.8).shape(LineShape::Hv))
                .name(&group.label);
            sketch = sketch.trace(trace);
        }
        if !has_any {
            sketch = sketch.lacks("gap");
        }
        let cut = if groups.len() > MOST {
            format!(" The first {MOST} of {} values.", groups.len())
        } else {
            String::new()
        };
        sketch
            .caption(format!(
                "Share of the runs that memorised and have not grokked, by the estimator of Kaplan and Meier: runs that ended \
                 before count for as long as they were seen.{cut}"
            ))
            .finish()
    };
    match axes {
        [] => vec![sketch_of(
            0,
            "All runs".to_owned(),
            &[Group {
                label: "all runs".to_owned(),
                runs: runs.iter().collect(),
            }],
        )],
        _ => axes
            .iter()
            .enumerate()
            .map(|(k, axis)| sketch_of(k, format!("By {axis}"), &by(runs.iter(), axis)))
            .collect(),
    }
}
