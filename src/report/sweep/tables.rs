//! The tables of a sweep: all values of all axes, classes, correlations, models of the frequency, single runs.

use std::fmt::Write as _;

use super::groups::{by, by_all, gap, median_gap};
use crate::analysis::correlation::spearman;
use crate::analysis::frequency_models::{Oscillation, compare_frequencies};
use crate::analysis::series::median;
use crate::report::page::escape;
use crate::report::words::{count, number};
use crate::sweep::{EndedRun, SweepDirectory};

/// Classes, and what stands for a run that has none.
const CLASSES: [(&str, &str); 6] = [
    ("fixed_point", "fixed point"),
    ("hovering", "hovering"),
    ("oscillation", "oscillation"),
    ("collapse", "collapse"),
    ("failed", "failed"),
    ("", "not grokked"),
];
/// What is correlated with the gap beside the axes: begins of names of results.
const PREDICTORS: [&str; 2] = ["instabilities.", "memorised."];
/// Most rows of the overview.
const MOST: usize = 200;

/// A row for each point of the axes.
pub(super) fn overview(body: &mut String, runs: &[EndedRun], axes: &[&str]) {
    let head = [
        axes,
        &[
            "runs",
            "grokked",
            "diverged",
            "median gap",
            "95 % interval",
            "held 500 steps",
        ],
    ]
    .concat();
    begin(body, "overview", "Overview", &head);
    let groups = by_all(runs.iter(), axes);
    for group in groups.iter().take(MOST) {
        let with = |name: &str| group.runs.iter().filter(|run| run.results.contains_key(name)).count();
        let diverged = group.runs.iter().filter(|run| run.is("ended", "diverged")).count();
        let (median, interval) = match median_gap(&group.runs) {
            Some((median, ends)) => (number(median), interval(ends)),
            None => ("–".to_owned(), "–".to_owned()),
        };
        let first = group.runs[0];
        let mut cells: Vec<String> = axes.iter().map(|axis| shown(first, axis)).collect();
        cells.extend([group.runs.len(), with("grokked"), diverged].map(|n| count(n as u64)));
        cells.extend([median, interval, count(with("held_500") as u64)]);
        row(body, &cells);
    }
    end(body);
    if groups.len() > MOST {
        note(
            body,
            &format!("The first {MOST} of {} points; runs.parquet has all.", groups.len()),
        );
    }
    note(
        body,
        "The median gap, from memorising to grokking, counts runs that ended before they grokked (Kaplan and Meier); \
         none where half of them or more did.",
    );
    close(body);
}

/// What the runs settled into, by each axis.
pub(super) fn classes(body: &mut String, runs: &[EndedRun], axes: &[&str]) {
    let names = CLASSES.map(|(_, name)| name);
    begin(
        body,
        "classes",
        "What they settled into",
        &[&["axis", "value"][..], &names].concat(),
    );
    for axis in axes {
        for group in by(runs.iter(), axis) {
            let class = |run: &EndedRun| {
                run.results
                    .get("equilibrium")
                    .and_then(|v| v.as_str())
                    .unwrap_or("")
                    .to_owned()
            };
            let counts = CLASSES.map(|(key, _)| group.runs.iter().filter(|run| class(run) == key).count());
            let mut cells = vec![(*axis).to_owned(), group.label.clone()];
            cells.extend(counts.map(|n| if n == 0 { "·".to_owned() } else { count(n as u64) }));
            row(body, &cells);
        }
    }
    end(body);
    note(
        body,
        "Over what was recorded after grokking, at most its last 20,000 steps. A run that stops soon after grokking shows \
         little: look at the column steps_after of runs.parquet.",
    );
    close(body);
}

/// When runs parted from their most exact twins; nothing where there are none.
pub(super) fn twins(body: &mut String, runs: &[EndedRun]) {
    let with_twin: Vec<&EndedRun> = runs.iter().filter(|run| run.results.contains_key("twin")).collect();
    if with_twin.is_empty() {
        return;
    }
    let kinds = ["sweep.precision", "loss.kind"];
    let steps = ["median step of the first bit", "parted by 1 %", "median step of that"];
    begin(
        body,
        "twins",
        "Precision twins",
        &[&kinds[..], &["runs"], &steps].concat(),
    );
    for group in by_all(with_twin.into_iter(), &kinds) {
        let found = |name: &str| -> Vec<f64> { group.runs.iter().filter_map(|run| run.number(name)).collect() };
        let middle = |name: &str| match found(name) {
            none if none.is_empty() => "–".to_owned(),
            steps => number(median(&steps)),
        };
        let mut cells: Vec<String> = kinds.iter().map(|kind| shown(group.runs[0], kind)).collect();
        cells.push(count(group.runs.len() as u64));
        cells.push(middle("twin.differs"));
        cells.push(count(found("twin.parts").len() as u64));
        cells.push(middle("twin.parts"));
        row(body, &cells);
    }
    end(body);
    note(
        body,
        "The batch loss of a run against that of its most exact twin (f64 before f32, the accurate loss before the naive one), \
         which begins with the same weights. Medians are of the runs that differ or parted.",
    );
    close(body);
}

/// Rank correlations of the gap.
pub(super) fn correlations(body: &mut String, runs: &[EndedRun], axes: &[&str]) {
    let with_gap: Vec<(&EndedRun, f64)> = runs
        .iter()
        .filter_map(|run| Some((run, gap(run).filter(|(_, seen)| *seen)?.0)))
        .collect();
    let mut names: Vec<String> = axes.iter().map(|axis| (*axis).to_owned()).collect();
    let results = runs.iter().flat_map(|run| run.results.keys());
    let mut predictors: Vec<String> = results
        .filter(|name| PREDICTORS.iter().any(|begin| name.starts_with(begin)))
        .cloned()
        .collect();
    predictors.sort_unstable();
    predictors.dedup();
    names.extend(predictors);
    begin(
        body,
        "correlations",
        "What goes with the gap",
        &["quantity", "Spearman's r", "95 % interval", "p", "runs"],
    );
    let mut left_out = Vec::new();
    for name in names {
        let pairs: Vec<(f64, f64)> = with_gap
            .iter()
            .filter_map(|(run, gap)| Some((run.quantity(&name)?, *gap)))
            .collect();
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        match spearman(&x, &y) {
            Ok(found) => row(
                body,
                &[
                    name,
                    format!("{:+.2}", found.r).replace('-', "\u{2212}"),
                    interval(found.interval),
                    number(found.p),
                    count(found.n as u64),
                ],
            ),
            Err(_) => left_out.push(name),
        }
    }
    end(body);
    if !left_out.is_empty() {
        note(
            body,
            &format!(
                "No numbers, constant, or known of fewer than three runs: {}.",
                left_out.join(", ")
            ),
        );
    }
    note(
        body,
        "Of the gaps that were seen to their end; censored ones are left out, which weakens what makes runs slow. No \
         correction for the number of rows: one p in twenty below 0.05 is chance. Quantities that begin with memorised are \
         the last values up to memorising; instabilities count falls of an agreement series in a window fixed before \
         grokking.",
    );
    close(body);
}

/// Models of the frequency of oscillations.
pub(super) fn frequencies(body: &mut String, runs: &[EndedRun]) {
    let mut groups: Vec<f64> = Vec::new();
    let oscillations: Vec<Oscillation> = runs
        .iter()
        .filter(|run| run.results.get("period_significant") == Some(&true.into()))
        .filter_map(|run| {
            let optimizer = &run.run.config.optimizer;
            let weight_decay = optimizer.weight_decay.at(0);
            let known = groups.iter().position(|value| *value == weight_decay);
            let group = known.unwrap_or_else(|| {
                groups.push(weight_decay);
                groups.len() - 1
            });
            let of = |name: &str| run.number(name).unwrap_or(f64::NAN);
            Some(Oscillation {
                frequency: 1.0 / run.number("period").filter(|period| *period > 0.0)?,
                lr: optimizer.lr.at(0),
                weight_decay,
                gradient_norm: of("after.gradient_norm"),
                weight_norm: of("after.weight_norm"),
                competition: f64::NAN,
                sharpness: f64::NAN,
                zero_gradients: of("after.zero_gradients"),
                group,
            })
        })
        .collect();
    begin(
        body,
        "frequencies",
        "What sets the frequency of oscillations",
        &["model", "ΔAICc", "weight", "R²", "R² of held-out weight decays"],
    );
    let found = compare_frequencies(&oscillations);
    if let Ok(found) = &found {
        for model in &found.models {
            row(
                body,
                &[
                    model.name.clone(),
                    number(model.delta),
                    number(model.weight),
                    number(model.r2),
                    if model.held_out_r2.is_nan() {
                        "–".to_owned()
                    } else {
                        number(model.held_out_r2)
                    },
                ],
            );
        }
    }
    end(body);
    let period = format!(
        "{} runs have a significant period of the test loss after grokking.",
        oscillations.len()
    );
    match found {
        Ok(found) => {
            let left_out: Vec<String> = found
                .left_out
                .iter()
                .map(|(name, why)| format!("{name}: {why}"))
                .collect();
            note(
                body,
                &format!("{period} Used: {}. Left out: {}.", found.used, left_out.join("; ")),
            );
        }
        Err(why) => note(body, &format!("{period} No comparison: {why}.")),
    }
    note(
        body,
        "ln f = a + b x. M0: no x. M1: ln(lr wd). M2: ln(|g|/(wd |w|)), medians after grokking. M3: competition. M4: \
         sharpness. M5: share of zero gradients.",
    );
    close(body);
}

/// A row for each run, with its directory.
pub(super) fn runs(body: &mut String, directory: &SweepDirectory, runs: &[EndedRun], axes: &[String]) {
    let axes: Vec<&str> = axes.iter().map(String::as_str).collect();
    let head = [
        &["run"],
        &axes[..],
        &["ended", "at step", "memorised", "grokked", "gap", "then"],
    ]
    .concat();
    begin(body, "runs", "Single runs", &head);
    for ended in runs {
        let path = directory.run(ended.run.number);
        let link = format!("runs/{:06}/", ended.run.number);
        let target = if path.join("report.html").is_file() {
            format!("{link}report.html")
        } else {
            link
        };
        let text = |name: &str| match ended.results.get(name) {
            Some(serde_json::Value::String(text)) => text.replace('_', " "),
            Some(value) => value.to_string(),
            None => "–".to_owned(),
        };
        let gap = match gap(ended) {
            Some((_, false)) => format!("> {}", text("gap")),
            _ => text("gap"),
        };
        let _ = write!(
            body,
            "<tr><th scope=\"row\"><a href=\"{target}\">{}</a></th>",
            ended.run.number
        );
        let cells = axes.iter().map(|axis| shown(ended, axis));
        for cell in cells
            .chain(["ended", "steps", "memorised", "grokked"].map(text))
            .chain([gap, text("equilibrium")])
        {
            let _ = write!(body, "<td>{}</td>", escape(&cell));
        }
        body.push_str("</tr>\n");
    }
    end(body);
    note(
        body,
        "gmatrix report runs/NUMBER writes the report of a single run, to which its number then leads.",
    );
    close(body);
}

/// The value of an axis, without the quotes of TOML.
fn shown(run: &EndedRun, axis: &str) -> String {
    run.run.value(axis).trim_matches('"').to_owned()
}

fn interval((low, high): (f64, f64)) -> String {
    if low.is_nan() || high.is_nan() {
        return "–".to_owned();
    }
    format!("{} … {}", number(low), number(high))
}

fn begin(body: &mut String, id: &str, title: &str, head: &[&str]) {
    let _ = write!(
        body,
        "<section id=\"{id}\">\n<h2>{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>",
        escape(title)
    );
    for cell in head {
        let _ = write!(body, "<th scope=\"col\">{}</th>", escape(cell));
    }
    body.push_str("</tr></thead>\n<tbody>\n");
}

fn row(body: &mut String, cells: &[String]) {
    body.push_str("<tr>");
    for (k, cell) in cells.iter().enumerate() {
        let cell = escape(cell);
        let _ = match k {
            0 => write!(body, "<th scope=\"row\">{cell}</th>"),
            _ => write!(body, "<td>{cell}</td>"),
        };
    }
    body.push_str("</tr>\n");
}

fn end(body: &mut String) {
    body.push_str("</tbody>\n</table></div>\n");
}

fn note(body: &mut String, text: &str) {
    let _ = writeln!(body, "<p class=\"note\">{}</p>", escape(text));
}

fn close(body: &mut String) {
    body.push_str("</section>\n");
}
