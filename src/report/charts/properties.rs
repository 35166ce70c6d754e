//! ntcov: what each part of an update does to each property, predicted against measured.

use plotly::Scatter;
use plotly::common::{DashType, HoverInfo, Line as Stroke, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, AxisType};

use crate::config::Config;
use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::{Line, Recorded, round};
use crate::report::style::Style;
use crate::report::style::colors::{BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, cycle};
use crate::schedule::Cadence;

/// The parts of a change in a property: prefix of their columns, words, colour.
const PARTS: [(&str, &str, &str); 6] = [
    ("selection", "selection (gradient now)", GREEN),
    ("lagged", "lagged selection (momentum)", BLUE),
    ("noise", "batch noise", SKY),
    ("decay", "weight decay", VERMILLION),
    ("decay_lagged", "lagged weight decay (momentum)", VERMILLION),
    ("second", "second order and beyond", PURPLE),
];

/// What a ledger has beside the parts.
const BETWEEN_AND_TOTAL: [(&str, &str, &str); 2] = [
    ("between", "in steps not decomposed", ORANGE),
    ("total", "total", BLACK),
];

pub fn charts(recorded: &Recorded, config: &Config) -> Vec<Drawn> {
    let split: Vec<&str> = PARTS.iter().map(|(part, ..)| *part).collect();
    let ledgers: Vec<String> = split.iter().map(|part| format!("ledger.{part}")).collect();
    let asked = &config.stats.properties;
    let changing = properties_of(recorded, &["predicted", "measured"], asked);
    vec![
        changes(recorded, &changing),
        against(recorded, &changing),
        parts(recorded, &properties_of(recorded, &split, asked)),
        ledger(recorded, &properties_of(recorded, &ledgers, asked), config),
        values(recorded, &properties_of(recorded, &["value"], asked)),
        matrix(recorded),
    ]
}

/// Whether a part's column belongs into a chart: decay_lagged is null throughout under rules that do not remember decay.
fn is_drawn(recorded: &Recorded, part: &str, column: &str) -> bool {
    part != "decay_lagged" || recorded.column(column).is_some()
}

/// What is lagged of decay has the colour of decay.
fn style(part: &str, name: &str, color: &'static str) -> Style {
    let style = Style::new(name, color);
    if part == "decay_lagged" { style.dashed() } else { style }
}

/// The properties for which there is a column with one of these prefixes, in the order in which they were asked for.
fn properties_of<'a>(recorded: &Recorded<'a>, prefixes: &[impl AsRef<str>], asked: &[String]) -> Vec<&'a str> {
    let mut properties: Vec<&str> = prefixes
        .iter()
        .flat_map(|prefix| recorded.suffixes(format!("{}.", prefix.as_ref())))
        .collect();
    let place = |property: &str| asked.iter().position(|name| name == property).unwrap_or(asked.len());
    properties.sort_by_key(|property| (place(property), *property));
    properties.dedup();
    properties
}

fn changes(recorded: &Recorded, properties: &[&str]) -> Drawn {
    let mut sketch = Sketch::new(
        recorded,
        "chart-prediction",
        "Predicted and measured change in one step",
    )
    .y("change in a step", Scale::SignedLog)
    .tabs(properties.iter().copied())
    .caption(
        "Predicted: the gradient of the property times the update that was applied. Measured: the property after \
             the step less before. Where they part, the step is too long for a straight line. The axis is logarithmic \
             on both sides of 0.",
    );
    for (tab, property) in properties.iter().enumerate() {
        sketch = sketch
            .column(
                &format!("measured.{property}"),
                Style::new("measured", BLACK).in_tab(tab),
            )
            .column(
                &format!("predicted.{property}"),
                Style::new("predicted", VERMILLION).dashed().in_tab(tab),
            );
    }
    if properties.is_empty() {
        sketch = sketch.lacks("predicted.*").lacks("measured.*");
    }
    sketch.finish()
}

/// The sizes of the predicted and the measured changes at the rows that have both.
struct Pairs {
    steps: Vec<u64>,
    predicted: Vec<f64>,
    measured: Vec<f64>,
}

fn against(recorded: &Recorded, properties: &[&str]) -> Drawn {
    let log_axis = |title: &str| Axis::new().title(title).type_(AxisType::Log);
    let mut sketch = Sketch::new(
        recorded,
        "chart-prediction-scatter",
        "Predicted against measured change",
    )
    .own_x(log_axis("|predicted change|"))
    .y("|measured change|", Scale::Log);
    let (mut agreeing, mut all) = (0, 0);
    let mut range: Option<(f64, f64)> = None;
    for (k, property) in properties.iter().enumerate() {
        let names = [format!("predicted.{property}"), format!("measured.{property}")];
        let [Some(predicted), Some(measured)] = names.each_ref().map(|name| recorded.column(name)) else {
            continue;
        };
        for signs_agree in [true, false] {
            let pairs = pairs(recorded.steps, predicted, measured, signs_agree);
            if pairs.steps.is_empty() {
                continue;
            }
            all += pairs.steps.len();
            agreeing += if signs_agree { pairs.steps.len() } else { 0 };
            for value in pairs.predicted.iter().chain(&pairs.measured) {
                let (low, high) = range.unwrap_or((*value, *value));
                range = Some((low.min(*value), high.max(*value)));
            }
            sketch = sketch.trace(cloud(pairs, property, cycle(k), signs_agree));
        }
    }
    let Some((low, high)) = range else {
        return sketch.lacks("predicted.*").lacks("measured.*").finish();
    };
    sketch
        .trace(diagonal(low, high))
        .caption(format!(
            "One point a decomposed step, sizes only. On the line the first-order prediction is exact; a cross marks \
             a change of the other sign than predicted. The signs agree in {agreeing} of {all} points."
        ))
        .finish()
}

fn pairs(steps: &[u64], predicted: &[f64], measured: &[f64], signs_agree: bool) -> Pairs {
    let mut pairs = Pairs {
        steps: Vec::new(),
        predicted: Vec::new(),
        measured: Vec::new(),
    };
    for ((step, predicted), measured) in steps.iter().zip(predicted).zip(measured) {
        let product = predicted * measured;
        // A change of 0 has no place on a logarithmic axis; the product of two small ones may underflow to it.
        let is_shown = [predicted, measured].iter().all(|v| v.is_finite() && **v != 0.0);
        if is_shown && product.is_sign_positive() == signs_agree {
            pairs.steps.push(*step);
            pairs.predicted.push(round(predicted.abs()));
            pairs.measured.push(round(measured.abs()));
        }
    }
    pairs
}

fn cloud(pairs: Pairs, property: &str, color: &'static str, signs_agree: bool) -> Box<Scatter<f64, f64>> {
    let (name, symbol) = if signs_agree {
        (property.to_owned(), MarkerSymbol::Circle)
    } else {
        (format!("{property}, other sign"), MarkerSymbol::XThinOpen)
    };
    let texts = pairs.steps.iter().map(|step| format!("step {step}")).collect();
    Scatter::new(pairs.predicted, pairs.measured)
        .name(name)
        .mode(Mode::Markers)
        .marker(Marker::new().symbol(symbol).size(6).opacity(0.65).color(color))
        .text_array(texts)
        .hover_template("%{text}<br>predicted %{x:.3g}, measured %{y:.3g} in size<extra>%{fullData.name}</extra>")
}

fn diagonal(low: f64, high: f64) -> Box<Scatter<f64, f64>> {
    Scatter::new(vec![low, high], vec![low, high])
        .name("measured = predicted")
        .mode(Mode::Lines)
        .line(Stroke::new().color(GREY).width(1.0).dash(DashType::Dash))
        .hover_info(HoverInfo::Skip)
}

fn parts(recorded: &Recorded, properties: &[&str]) -> Drawn {
    let mut sketch = Sketch::new(recorded, "chart-parts", "Parts of the change in one step")
        .wide()
        .y("change in a step", Scale::SignedLog)
        .tabs(properties.iter().copied())
        .caption(
            "The gradient of the property times each part of the update: the gradient of this step (selection), what \
             momentum kept of earlier ones (lagged), the batch's deviation from the full gradient (noise), weight \
             decay, and what momentum kept of earlier decay where it goes through it. They sum to the predicted change; with what is beyond first order, to the measured one.",
        );
    for (tab, property) in properties.iter().enumerate() {
        for (part, name, color) in PARTS {
            let column = format!("{part}.{property}");
            if is_drawn(recorded, part, &column) {
                sketch = sketch.column(&column, style(part, name, color).in_tab(tab));
            }
        }
        let measured = format!("measured.{property}");
        if recorded.column(&measured).is_some() {
            sketch = sketch.column(&measured, Style::new("measured", BLACK).dotted().in_tab(tab));
        }
    }
    if properties.is_empty() {
        sketch = PARTS.iter().fold(sketch, |s, (part, ..)| s.lacks(&format!("{part}.*")));
    }
    sketch.finish()
}

fn ledger(recorded: &Recorded, properties: &[&str], config: &Config) -> Drawn {
    let every = match config.stats.decompose_every {
        Cadence::Every(0 | 1) => "every step".to_owned(),
        Cadence::Every(k) => format!("one step in {k}"),
        Cadence::Log(log) => format!("{} a decade", log.log),
        Cadence::Dense(dense) => format!("one step in {}, for a while one in {}", dense.every, dense.dense),
    };
    let mut sketch = Sketch::new(recorded, "chart-ledger", "Ledger: the parts summed since the start")
        .wide()
        .y("sum of changes", Scale::Linear)
        .tabs(properties.iter().copied())
        .caption(format!(
            "Running sums of the parts over the decomposed steps, here {every}, and of what happened in between. Their \
             total is the whole change x_T − x_0 since the first decomposed step; dotted, where x is evaluated, that \
             change by the evaluations."
        ));
    for (tab, property) in properties.iter().enumerate() {
        for (part, name, color) in PARTS.into_iter().chain(BETWEEN_AND_TOTAL) {
            let column = format!("ledger.{part}.{property}");
            if is_drawn(recorded, part, &column) {
                sketch = sketch.column(&column, style(part, name, color).in_tab(tab));
            }
        }
        if let Some(change) = change_since_start(recorded, property) {
            sketch = sketch.line(change, Style::new("x_T − x_0, evaluated", GREY).dotted().in_tab(tab));
        }
    }
    if properties.is_empty() {
        sketch = sketch.lacks("ledger.*");
    }
    sketch.finish()
}

/// An evaluated column less its first value.
fn change_since_start(recorded: &Recorded, property: &str) -> Option<Line> {
    let mut line = recorded.line(property)?;
    let start = line.values.iter().flatten().next().copied()?;
    line.values
        .iter_mut()
        .flatten()
        .for_each(|value| *value = round(*value - start));
    Some(line)
}

fn values(recorded: &Recorded, properties: &[&str]) -> Drawn {
    let mut sketch = Sketch::new(recorded, "chart-values", "Values of the properties")
        .y("value", Scale::SignedLog)
        .tabs(properties.iter().copied())
        .caption(
            "Each property before the steps that were decomposed: what the changes above add up to. \
             The axis is logarithmic on both sides of 0.",
        );
    for (tab, property) in properties.iter().enumerate() {
        sketch = sketch.column(
            &format!("value.{property}"),
            Style::new(*property, cycle(tab)).in_tab(tab),
        );
    }
    if properties.is_empty() {
        sketch = sketch.lacks("value.*");
    }
    sketch.finish()
}

fn matrix(recorded: &Recorded) -> Drawn {
    let names: Vec<&str> = recorded.suffixes("ntcov.".to_owned()).collect();
    let mut sketch = Sketch::new(recorded, "chart-ntcov", "ntcov between the properties")
        .y("ntcov", Scale::SignedLog)
        .caption(
            "ntcov(a, b) = ∇a · ∇b: how fast b rises, per unit of learning rate, under gradient ascent on a. With \
             itself it is the squared norm of the gradient; where it is negative, improving one harms the other.",
        );
    let mut shown = 0;
    for name in &names {
        let (label, mirrored) = match pair_of(name, &names) {
            Some((a, b)) => (format!("{a} · {b}"), format!("{b}.{a}")),
            None => ((*name).to_owned(), (*name).to_owned()),
        };
        // The matrix is symmetric: of two mirrored entries one is shown.
        if mirrored.as_str() < *name && names.contains(&mirrored.as_str()) {
            sketch = sketch.uses(&format!("ntcov.{name}"));
            continue;
        }
        sketch = sketch.column(&format!("ntcov.{name}"), Style::new(label, cycle(shown)));
        shown += 1;
    }
    if names.is_empty() {
        sketch = sketch.lacks("ntcov.*");
    }
    sketch.finish()
}

/// The two properties in `a.b`. A property's name may hold dots itself; the right cut is one at which both sides have a
/// diagonal entry, or, where no diagonal is recorded, the only dot.
fn pair_of<'a>(name: &'a str, names: &[&str]) -> Option<(&'a str, &'a str)> {
    let has_diagonal = |property: &str| names.contains(&format!("{property}.{property}").as_str());
    let cuts = || name.match_indices('.').map(|(at, _)| (&name[..at], &name[at + 1..]));
    cuts()
        .find(|(a, b)| has_diagonal(a) && has_diagonal(b))
        .or_else(|| cuts().next().filter(|_| cuts().count() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_properties_whose_names_hold_dots() {
        let names = ["train_loss.train_loss", "train_loss.a.st#x", "a.st#x.a.st#x"];
        assert_eq!(pair_of(names[1], &names), Some(("train_loss", "a.st#x")));
        assert_eq!(pair_of(names[2], &names), Some(("a.st#x", "a.st#x")));
        assert_eq!(pair_of("a.b", &["a.b"]), Some(("a", "b")));
        assert_eq!(pair_of("a.b.c", &["a.b.c"]), None);
    }

    #[test]
    fn small_changes_keep_their_signs() {
        let found = pairs(&[1, 2, 3], &[1e-200, -1e-200, 0.0], &[1e-200, 1e-200, 1.0], true);
        assert_eq!(found.steps, [1]);
        let found = pairs(&[1, 2, 3], &[1e-200, -1e-200, 0.0], &[1e-200, 1e-200, 1.0], false);
        assert_eq!(found.steps, [2]);
    }
}
