//! Which charts a report has: one module per section.

mod alignment;
mod geometry;
mod learning;
mod noise;
mod properties;
mod selection;
mod structure;

use super::chart::Drawn;
use super::recorded::Recorded;
use crate::config::Config;

/// Charts that belong together.
pub struct Section {
    /// Id of its element.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Its charts in order, also those with nothing to show.
    pub charts: Vec<Drawn>,
}

/// Draws every chart of the report.
pub fn draw(recorded: &Recorded, config: &Config) -> Vec<Section> {
    let mut sections = vec![
        Section {
            id: "learning",
            title: "Learning",
            charts: learning::charts(recorded),
        },
        Section {
            id: "geometry",
            title: "Geometry of the per-sample gradients",
            charts: geometry::charts(recorded),
        },
        Section {
            id: "noise",
            title: "Noise and norms",
            charts: noise::charts(recorded),
        },
        Section {
            id: "properties",
            title: "What moves the properties",
            charts: properties::charts(recorded, config),
        },
    ];
    // Not every task has frequencies, and where it has they are measured only if asked for.
    if recorded.suffixes("fourier.".to_owned()).next().is_some() {
        sections.push(Section {
            id: "structure",
            title: "What has grown: frequencies and neurons",
            charts: structure::charts(recorded),
        });
    }
    if recorded.suffixes("alignment.".to_owned()).next().is_some() {
        sections.push(Section {
            id: "alignment",
            title: "Do aligned gradients persist",
            charts: alignment::charts(recorded),
        });
    }
    if recorded.suffixes("price.samples.".to_owned()).next().is_some() {
        sections.push(Section {
            id: "selection",
            title: "Selection among samples",
            charts: selection::charts(recorded),
        });
    }
    sections
}
