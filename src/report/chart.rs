//! One chart: lines by column, a scale, a caption, and the JSON that plotly.js draws.

use plotly::common::{Line as Stroke, Marker, Mode, Visible};
use plotly::layout::{Axis, AxisType, RangeMode};
use plotly::{Layout, Scatter, Trace};
use serde::Serialize;

use super::recorded::{Line, MOST_POINTS, Recorded};
use super::signed_log::SignedLog;
use super::style::Style;

/// From so many decades on, a logarithmic axis labels powers of ten only.
const TWO_DECADES: f64 = 2.0;
/// Most labels on a logarithmic axis.
const LOG_LABELS: f64 = 6.0;

/// Lines with at most so many points show each of them.
const FEW_POINTS: usize = 60;
/// Lines with more points are thin, so that their noise does not fill the chart.
const MANY_POINTS: usize = 500;

/// A chart, drawn or not.
pub enum Drawn {
    /// There is something to see.
    Chart(Chart),
    /// None of its columns has a value.
    Missing {
        /// Its title.
        title: String,
        /// What it would have shown.
        columns: Vec<String>,
    },
}

/// A chart that has something to show.
pub struct Chart {
    /// Id of its element: stable, others look for it.
    pub id: String,
    /// Heading.
    pub title: String,
    /// What is plotted, by which definition, and how to read it.
    pub caption: String,
    /// Names of the alternatives of which it shows one at a time; none, or at least two.
    pub tabs: Vec<String>,
    /// Whether it takes the whole width of the page.
    pub is_wide: bool,
    /// Whether its x axis is the step, shared with all others.
    pub is_over_steps: bool,
    /// `{data, layout}` for plotly.js.
    pub figure: String,
    /// Columns it shows.
    pub columns: Vec<String>,
    /// Columns it would have shown as well.
    pub missing: Vec<String>,
}

/// The scale of the y axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Only positive values show.
    Log,
    /// Logarithmic on both sides of zero.
    SignedLog,
}

/// A chart in the making.
pub struct Sketch<'a> {
    recorded: &'a Recorded<'a>,
    chart: Chart,
    scale: Scale,
    y_title: String,
    is_from_zero: bool,
    lines: Vec<(Line, Style)>,
    traces: Vec<Box<dyn Trace>>,
    x_axis: Option<Axis>,
}

impl<'a> Sketch<'a> {
    /// An empty chart over steps.
    pub fn new(recorded: &'a Recorded<'a>, id: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            recorded,
            chart: Chart {
                id: id.into(),
                title: title.into(),
                caption: String::new(),
                tabs: Vec::new(),
                is_wide: false,
                is_over_steps: true,
                figure: String::new(),
                columns: Vec::new(),
                missing: Vec::new(),
            },
            scale: Scale::Linear,
            y_title: String::new(),
            is_from_zero: false,
            lines: Vec::new(),
            traces: Vec::new(),
            x_axis: None,
        }
    }

    /// Sets the caption.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.chart.caption = caption.into();
        self
    }

    /// Sets the y axis.
    pub fn y(mut self, title: impl Into<String>, scale: Scale) -> Self {
        self.y_title = title.into();
        self.scale = scale;
        self
    }

    /// Lets the y axis begin at 0.
    pub fn with_zero(mut self) -> Self {
        self.is_from_zero = true;
        self
    }

    /// Takes the whole width of the page.
    pub fn wide(mut self) -> Self {
        self.chart.is_wide = true;
        self
    }

    /// Gives it an x axis of its own in place of the step.
    pub fn own_x(mut self, axis: Axis) -> Self {
        self.chart.is_over_steps = false;
        self.x_axis = Some(axis);
        self
    }

    /// Names the alternatives of which it shows one at a time.
    pub fn tabs(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.chart.tabs = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a column as a line, or notes that it was not measured.
    pub fn column(mut self, name: &str, style: Style) -> Self {
        match self.recorded.line(name) {
            Some(line) => {
                self.lines.push((line, style));
                self.uses(name)
            }
            None => {
                self.chart.missing.push(name.to_owned());
                self
            }
        }
    }

    /// Adds a line that is no column.
    pub fn line(mut self, line: Line, style: Style) -> Self {
        self.lines.push((line, style));
        self
    }

    /// Adds a trace as it is.
    pub fn trace(mut self, trace: Box<dyn Trace>) -> Self {
        self.traces.push(trace);
        self
    }

    /// Notes that a column is shown.
    pub fn uses(mut self, name: &str) -> Self {
        self.chart.columns.push(name.to_owned());
        self
    }

    /// Notes that a column would be shown, had it been measured.
    pub fn lacks(mut self, name: &str) -> Self {
        self.chart.missing.push(name.to_owned());
        self
    }

    /// The chart, or what it lacks.
    pub fn finish(mut self) -> Drawn {
        if self.lines.is_empty() && self.traces.is_empty() {
            return Drawn::Missing {
                title: self.chart.title,
                columns: self.chart.missing,
            };
        }
        if self.lines.iter().any(|(line, _)| line.steps.len() > MOST_POINTS) {
            self.chart.caption.push_str(
                " Lines of more than 20,000 rows are drawn as the least and the greatest value of each bucket of rows.",
            );
        }
        if self.chart.tabs.len() < 2 {
            self.chart.tabs.clear();
        }
        if self.scale == Scale::Log {
            // plotly.js would draw a line to 0 on a logarithmic axis, down through its floor.
            let values = self.lines.iter_mut().flat_map(|(line, _)| &mut line.values);
            values.for_each(|value| *value = value.filter(|v| *v > 0.0));
        }
        let values = self
            .lines
            .iter()
            .flat_map(|(line, _)| line.values.iter().flatten().copied());
        let signed_log = (self.scale == Scale::SignedLog)
            .then(|| SignedLog::fit(values))
            .flatten();
        for (line, style) in &self.lines {
            self.traces.push(trace_of(&line.thinned(), style, signed_log.as_ref()));
        }
        let mut y_axis = Axis::new().title(self.y_title);
        if self.is_from_zero {
            y_axis = y_axis.range_mode(RangeMode::ToZero);
        }
        if let Some(axis) = signed_log {
            let (positions, labels) = axis.ticks();
            y_axis = y_axis.tick_values(positions).tick_text(labels).zero_line(true);
        } else if self.scale == Scale::Log {
            y_axis = y_axis.type_(AxisType::Log);
            let decades = decades(
                self.lines
                    .iter()
                    .flat_map(|(line, _)| line.values.iter().flatten().copied()),
            );
            if decades >= TWO_DECADES {
                y_axis = y_axis.dtick((decades / LOG_LABELS).ceil());
            }
        }
        let mut layout = Layout::new().y_axis(y_axis);
        if let Some(axis) = self.x_axis {
            layout = layout.x_axis(axis);
        }
        let figure = Figure {
            data: &self.traces,
            layout: &layout,
        };
        self.chart.figure = serde_json::to_string(&figure).expect("numbers and strings become JSON");
        Drawn::Chart(self.chart)
    }
}

/// What plotly.js takes.
#[derive(Serialize)]
struct Figure<'a> {
    data: &'a [Box<dyn Trace>],
    layout: &'a Layout,
}

fn trace_of(line: &Line, style: &Style, signed_log: Option<&SignedLog>) -> Box<dyn Trace> {
    let present = line.values.iter().flatten().count();
    let mode = if present <= FEW_POINTS || has_lonely_point(line) {
        Mode::LinesMarkers
    } else {
        Mode::Lines
    };
    let values = match signed_log {
        None => line.values.clone(),
        Some(axis) => line
            .values
            .iter()
            .map(|v| v.map(|v| round_position(axis.position(v))))
            .collect(),
    };
    let width = if present > MANY_POINTS {
        style.width.min(1.25)
    } else {
        style.width
    };
    let mut trace = Scatter::new(line.steps.clone(), values)
        .name(&style.name)
        .mode(mode)
        .marker(Marker::new().size(4).color(style.color))
        .line(Stroke::new().color(style.color).width(width).dash(style.dash.clone()))
        .connect_gaps(false);
    if signed_log.is_some() || style.share_of.is_some() {
        let texts = line
            .values
            .iter()
            .map(|v| v.map_or_else(String::new, |v| hover_text(v, style.share_of)));
        trace = trace.text_array(texts.collect()).hover_template("%{text}");
    }
    if let Some(tab) = style.tab {
        let visible = if tab == 0 { Visible::True } else { Visible::False };
        trace = trace.meta(tab).visible(visible);
    }
    trace
}

/// Decades between the least and the greatest positive value.
fn decades(values: impl Iterator<Item = f64>) -> f64 {
    let (low, high) = values
        .filter(|v| *v > 0.0)
        .fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    if high > 0.0 { (high / low).log10() } else { 0.0 }
}

fn hover_text(value: f64, share_of: Option<f64>) -> String {
    match share_of {
        Some(n) => format!("{} ({:.0} % of n)", super::words::number(value), 100.0 * value / n),
        None => super::words::number(value),
    }
}

/// Positions on an axis need no more than a hundredth of a pixel.
fn round_position(position: f64) -> f64 {
    (position * 1e5).round() / 1e5
}

/// Whether a value stands between two gaps, where a bare line would not show it.
fn has_lonely_point(line: &Line) -> bool {
    let is_gap = |i: Option<usize>| i.and_then(|i| line.values.get(i)).is_none_or(Option::is_none);
    (0..line.values.len()).any(|i| !is_gap(Some(i)) && is_gap(i.checked_sub(1)) && is_gap(Some(i + 1)))
}
