//! Selection among the training samples: the terms of each trait's change.

use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::Recorded;
use crate::report::style::Style;
use crate::report::style::colors::{GREY, cycle};

/// Traits: column, identifier and title of the chart.
const TRAITS: [(&str, &str, &str); 3] = [
    (
        "test_loss",
        "chart-selection-test",
        "Test loss: which samples carry its change",
    ),
    (
        "train_loss",
        "chart-selection-train",
        "Training loss: which samples carry its change",
    ),
    (
        "half_norm2",
        "chart-selection-norm",
        "Weight norm: which samples carry its change",
    ),
];

pub fn charts(recorded: &Recorded) -> Vec<Drawn> {
    TRAITS
        .iter()
        .map(|(name, id, title)| {
            let column = |term: &str| format!("price.samples.{name}.{term}");
            let mut sketch = Sketch::new(recorded, *id, *title)
                .y("change per unit of the learning rate", Scale::Linear)
                .column(&column("change"), Style::new("change", GREY))
                .column(&column("uniform"), Style::new("at equal residuals", cycle(0)))
                .column(&column("covariance"), Style::new("covariance with the residual", cycle(1)))
                .caption(
                    "To first order under gradient descent. The covariance of a sample's residual with what it would do at the \
                     mean residual is selection: positive terms raise the trait. Dashed: its part between classes, and \
                     between quarters of the loss.",
                );
            for (place, grouping) in ["class", "loss_quarter", "phase"].into_iter().enumerate() {
                let between = column(&format!("between.{grouping}"));
                if let Some(line) = recorded.line(&between) {
                    let style = Style::new(format!("between, by {grouping}"), cycle(2 + place)).dashed();
                    sketch = sketch.line(line, style).uses(&between);
                }
            }
            sketch.finish()
        })
        .collect()
}
