//! Alignment of samples, and what becomes of it some steps later.

use crate::report::chart::{Drawn, Scale, Sketch};
use crate::report::recorded::Recorded;
use crate::report::style::Style;
use crate::report::style::colors::{GREY, cycle};

pub fn charts(recorded: &Recorded) -> Vec<Drawn> {
    let mut lags: Vec<u64> = recorded
        .suffixes("alignment.persistence.".to_owned())
        .filter_map(|lag| lag.parse().ok())
        .collect();
    lags.sort_unstable();
    vec![
        covariances(
            recorded,
            &lags,
            ("chart-alignment", "Alignment and persistence", "persistence"),
            "Covariance over samples of alignment, the cosine of a gradient with the sum of the others', and persistence, \
             its cosine with the same sample's gradient k steps later. Dashed: three standard deviations of what samples \
             paired at random have, around 0.",
        ),
        covariances(
            recorded,
            &lags,
            (
                "chart-alignment-loss",
                "Alignment and the fall of the loss",
                "loss_fall",
            ),
            "The same with the fall of a sample's loss within k steps. Under gradient descent this fall is to \
             first order |g| times alignment, so that a positive covariance is no finding.",
        ),
        means(recorded, &lags),
    ]
}

fn covariances(
    recorded: &Recorded,
    lags: &[u64],
    (id, title, name): (&'static str, &str, &str),
    caption: &str,
) -> Drawn {
    let mut sketch = Sketch::new(recorded, id, title)
        .y("covariance", Scale::Linear)
        .caption(caption);
    for (place, lag) in lags.iter().enumerate() {
        sketch = sketch.column(
            &format!("alignment.{name}_covariance.{lag}"),
            Style::new(format!("k = {lag}"), cycle(place)),
        );
        let null = format!("alignment.{name}_null_sd.{lag}");
        if let Some(mut line) = recorded.line(&null) {
            line.values.iter_mut().flatten().for_each(|sd| *sd *= 3.0);
            let style = Style::new(format!("k = {lag}, 3 sd at random"), cycle(place)).dashed();
            sketch = sketch.line(line, style).uses(&null);
        }
    }
    sketch.finish()
}

fn means(recorded: &Recorded, lags: &[u64]) -> Drawn {
    let mut sketch = Sketch::new(recorded, "chart-alignment-means", "Mean alignment and persistence")
        .y("cosine", Scale::Linear)
        .column("alignment.mean", Style::new("alignment", GREY))
        .caption("Means over the samples whose gradients are not zero.");
    for (place, lag) in lags.iter().enumerate() {
        sketch = sketch
            .column(
                &format!("alignment.persistence.{lag}"),
                Style::new(format!("persistence, k = {lag}"), cycle(place)),
            )
            .uses(&format!("alignment.samples.{lag}"));
    }
    sketch.finish()
}
