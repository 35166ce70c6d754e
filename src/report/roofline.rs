//! The page of `gmatrix bench`: a roofline plot and the table behind it.
//!
//! Over the operations for each byte that a row moves stands its rate. No row can lie above the roof: below the ridge the
//! bandwidth times the intensity, beyond it the matrix rate; but for arguments that stay in a cache.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use plotly::common::{Line as Stroke, Marker, Mode};
use plotly::layout::{Axis, AxisType};
use plotly::{Layout, Scatter, Trace};
use serde::Serialize;

use super::page::{STYLE, escape, json_in_html, plotly_js};
use crate::bench::{Bench, Row};
use crate::error::{Error, Result};

/// Colours of the groups of rows; those of the report, which the colour-blind can tell apart.
const COLORS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

#[derive(Serialize)]
struct Figure {
    data: Vec<Box<dyn Trace>>,
    layout: Layout,
}

/// Writes the page.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if it cannot be written.
pub fn write_bench(path: &Path, bench: &Bench) -> Result<()> {
    let figure = Figure {
        data: traces(bench),
        layout: Layout::new()
            .x_axis(Axis::new().title("FLOP for each byte").type_(AxisType::Log).dtick(1.0))
            .y_axis(Axis::new().title("GFLOP/s").type_(AxisType::Log).dtick(1.0)),
    };
    let figure = serde_json::to_string(&figure).map_err(|e| Error::numeric(e.to_string()))?;
    let page = format!(
        include_str!("assets/roofline.html"),
        style = STYLE,
        title = escape(&bench.machine.device),
        lead = escape(&lead(bench)),
        rows = rows(bench),
        figure = json_in_html(&figure),
        plotly = plotly_js(),
    );
    fs::write(path, page).map_err(|e| Error::io(path, e))
}

fn lead(bench: &Bench) -> String {
    let machine = &bench.machine;
    let processor = machine
        .processor
        .as_deref()
        .map_or(String::new(), |name| format!("{name}, "));
    format!(
        "gmatrix {}, backend {}, {}. {processor}{} threads, {} {}. Copy bandwidth {:.1} GB/s, matrix rate {:.1} GFLOP/s.",
        bench.version,
        machine.backend,
        machine.precision,
        machine.threads,
        machine.os,
        machine.arch,
        bench.rates.copy_gb_per_s.median,
        bench.rates.matrix_gflop_per_s.median
    )
}

/// What a row belongs to: a preset's kernels, or tasks.
fn group(row: &Row) -> &str {
    row.name.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Operations for each byte, and their rate; none where either is not counted.
fn place(row: &Row) -> Option<(f64, f64)> {
    Some((row.flops? / row.bytes?, row.gflop_per_s?))
}

fn traces(bench: &Bench) -> Vec<Box<dyn Trace>> {
    let bandwidth = bench.rates.copy_gb_per_s.median;
    let rate = bench.rates.matrix_gflop_per_s.median;
    let ridge = rate / bandwidth;
    let intensities = bench.rows.iter().filter_map(|row| place(row).map(|(x, _)| x));
    let (low, high) = intensities.fold((ridge / 100.0, ridge * 10.0), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    let roof = Scatter::new(vec![low, ridge, high], vec![low * bandwidth, rate, rate])
        .name("roof")
        .mode(Mode::Lines)
        .line(Stroke::new().color("#1d2228").width(1.5));
    let mut traces: Vec<Box<dyn Trace>> = vec![roof];
    let mut groups: Vec<&str> = Vec::new();
    for row in &bench.rows {
        let name = if row.name.starts_with("task/") {
            "task"
        } else {
            group(row)
        };
        if !groups.contains(&name) {
            groups.push(name);
        }
    }
    for (k, name) in groups.iter().enumerate() {
        let of = bench
            .rows
            .iter()
            .filter(|row| row.name.starts_with(&format!("{name}/")));
        let placed: Vec<(&Row, (f64, f64))> = of.filter_map(|row| Some((row, place(row)?))).collect();
        let text = |(row, _): &(&Row, (f64, f64))| {
            let share = row
                .share
                .map_or(String::new(), |share| format!(", {:.1} % of its limit", 100.0 * share));
            format!("{}{share}", row.name)
        };
        traces.push(
            Scatter::new(
                placed.iter().map(|(_, (x, _))| *x).collect(),
                placed.iter().map(|(_, (_, y))| *y).collect(),
            )
            .name(*name)
            .mode(Mode::Markers)
            .marker(Marker::new().size(9).color(COLORS[k % COLORS.len()]))
            .text_array(placed.iter().map(text).collect())
            .hover_template("%{text}<br>%{x:.3g} FLOP/byte, %{y:.3g} GFLOP/s<extra></extra>"),
        );
    }
    traces
}

/// Lines of the table.
fn rows(bench: &Bench) -> String {
    let mut text = String::new();
    for row in &bench.rows {
        let number = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.1}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{:.4}</td><td>{:.4} to {:.4}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td></tr>",
            escape(&row.name),
            row.calls,
            1e3 * row.seconds.median,
            1e3 * row.seconds.low,
            1e3 * row.seconds.high,
            number(row.gb_per_s),
            number(row.gflop_per_s),
            number(row.share.map(|share| 100.0 * share)),
            row.limit.map_or("–", |limit| limit.name()),
        );
    }
    for left in &bench.left_out {
        let _ = writeln!(
            text,
            "<tr><th scope=\"row\">{}</th><td colspan=\"7\">left out: {}</td></tr>",
            escape(&left.name),
            escape(&left.why)
        );
    }
    text
}
