//! The gradient noise scale; norms of weights, gradients and updates, and of the per-sample gradients.

use plotly::Scatter;
use plotly::common::{Fill, HoverInfo, Line as Stroke, Marker, Mode};

use crate::analysis::noise_scale::{self, Ratio, WindowRatio};
use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::{Recorded, round};
use crate::report::style::Style;
use crate::report::style::colors::{BLUE, GREEN, GREY, PURPLE, VERMILLION};
use crate::report::words;

/// Least rows of a window.
const LEAST_ROWS: usize = 20;
/// Most windows: more of them would be too narrow to see.
const MOST_WINDOWS: usize = 200;
/// The band around the noise scale: blue, for the most part transparent.
const BAND: &str = "rgba(0, 114, 178, 0.18)";

pub fn charts(recorded: &Recorded) -> Vec<Drawn> {
    vec![
        noise_ratio(recorded),
        norms(recorded),
        sample_norms(recorded),
        norm_spread(recorded),
    ]
}

fn noise_ratio(recorded: &Recorded) -> Drawn {
    let sketch =
        Sketch::new(recorded, "chart-noise-scale", "Gradient noise scale").y("tr Σ / |G|², samples", Scale::Log);
    let (Some(trace), Some(g2)) = (recorded.column("noise_trace"), recorded.column("noise_g2")) else {
        return sketch.lacks("noise_trace").lacks("noise_g2").finish();
    };
    let measured = trace
        .iter()
        .zip(g2)
        .filter(|(t, g)| t.is_finite() && g.is_finite())
        .count();
    let rows = LEAST_ROWS.max(measured.div_ceil(MOST_WINDOWS).next_multiple_of(noise_scale::BLOCKS));
    let windows = noise_scale::windows(recorded.steps, trace, g2, rows);
    let gaps = windows.iter().filter(|w| w.ratio.is_none()).count();
    let gap_note = match gaps {
        0 => "No window has such a gap.".to_owned(),
        _ => format!("{gaps} of {} windows are such gaps.", windows.len()),
    };
    let mut sketch = sketch.uses("noise_trace").uses("noise_g2").caption(format!(
        "The batch size at which noise and signal in the mean gradient are equal (McCandlish et al. 2018): the average \
         of noise_trace over that of noise_g2 in windows of {rows} rows, with a band of one jackknife standard error. \
         Where the average of noise_g2 cannot be told from 0 there is a gap. {gap_note}"
    ));
    for segment in windows.split(|w| w.ratio.is_none()).filter(|s| !s.is_empty()) {
        sketch = sketch.trace(band(segment));
    }
    if gaps < windows.len() {
        sketch = sketch.trace(curve(&windows));
    }
    sketch.finish()
}

fn middle(window: &WindowRatio) -> f64 {
    f64::midpoint(window.first as f64, window.last as f64)
}

/// The outline of the error band over neighbouring windows: there along the upper edge, back along the lower. Its ends
/// are those of the outer windows, so that the band of a lone window has a width.
fn band(segment: &[WindowRatio]) -> Box<Scatter<f64, f64>> {
    let (first, last) = (segment[0].first as f64, segment[segment.len() - 1].last as f64);
    let steps = [first].into_iter().chain(segment.iter().map(middle)).chain([last]);
    let bands: Vec<(f64, f64)> = segment.iter().filter_map(|w| Some(w.ratio?.band())).collect();
    let padded = bands.first().into_iter().chain(&bands).chain(bands.last());
    let outline: Vec<(f64, f64, f64)> = steps
        .zip(padded)
        .map(|(x, (low, high))| (x, round(*low), round(*high)))
        .collect();
    let upper = outline.iter().map(|(x, _, high)| (*x, *high));
    let lower = outline.iter().rev().map(|(x, low, _)| (*x, *low));
    let (x, y) = upper.chain(lower).unzip();
    Scatter::new(x, y)
        .mode(Mode::Lines)
        .fill(Fill::ToSelf)
        .fill_color(BAND)
        .line(Stroke::new().width(0.0))
        .hover_info(HoverInfo::Skip)
        .show_legend(false)
}

fn curve(windows: &[WindowRatio]) -> Box<Scatter<f64, Option<f64>>> {
    let text = |ratio: Ratio| {
        let (low, high) = ratio.band();
        format!(
            "{} ({} to {})",
            words::number(ratio.value),
            words::number(low),
            words::number(high)
        )
    };
    let texts = windows.iter().map(|w| w.ratio.map_or_else(String::new, text)).collect();
    Scatter::new(
        windows.iter().map(middle).collect(),
        windows.iter().map(|w| w.ratio.map(|r| round(r.value))).collect(),
    )
    .name("noise scale")
    .mode(Mode::LinesMarkers)
    .marker(Marker::new().size(4).color(BLUE))
    .line(Stroke::new().color(BLUE).width(1.8))
    .connect_gaps(false)
    .text_array(texts)
    .hover_template("%{text}")
}

fn norms(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-norms", "Norms of weights, gradient and update")
        .y("2-norm", Scale::Log)
        .column("weight_norm", Style::new("weights", BLUE))
        .column("gradient_norm", Style::new("mean gradient", VERMILLION))
        .column("update_norm", Style::new("update", GREEN))
        .caption(
            "2-norms of all parameters, of the batch's mean gradient, and of the change that the optimiser applied. \
             With weight decay the weights often shrink between memorisation and grokking while the accuracy stands \
             still.",
        )
        .finish()
}

fn sample_norms(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-sample-norms", "Per-sample gradient norms")
        .y("2-norm", Scale::Log)
        .column("per_sample_norm_max", Style::new("largest", VERMILLION))
        .column("per_sample_norm_mean", Style::new("mean", BLUE))
        .column("per_sample_norm_min", Style::new("smallest", GREY))
        .caption(
            "2-norms of the gradients of the single samples in the step's batch. A smallest norm of exactly 0 cannot \
             be shown on this axis and is a gap.",
        )
        .finish()
}

fn norm_spread(recorded: &Recorded) -> Drawn {
    Sketch::new(recorded, "chart-norm-spread", "Spread of the per-sample norms")
        .y("sd of ln |g|", Scale::Linear)
        .column("per_sample_norm_log_sd", Style::new("sd of ln |g|", PURPLE))
        .caption(
            "Standard deviation of the natural logarithm of the norms of non-zero gradients. A wide spread by itself \
             lowers every raw rank: compare with the cosine Gram, which does not see it.",
        )
        .finish()
}
