//! Every kernel of the presets' plans, in steps in which everything is due.

use std::collections::{BTreeMap, BTreeSet};

use super::stepping::Stepping;
use super::{Make, Rates, Row, Spread, Watch};
use crate::config::{Config, Preset};
use crate::error::Result;
use crate::trainer::Experiment;

/// The presets whose plans are taken.
pub(super) fn presets(quick: bool) -> &'static [Preset] {
    if quick {
        &[Preset::Quick]
    } else {
        &[Preset::Quick, Preset::Nanda, Preset::Prenorm]
    }
}

/// The preset with everything due at every step, and no end.
fn config(preset: Preset) -> Config {
    let mut config = preset.config();
    let stats = &mut config.stats;
    for every in [
        &mut stats.scalars_every,
        &mut stats.evaluate_every,
        &mut stats.gram_every,
        &mut stats.decompose_every,
    ] {
        *every = 1.into();
    }
    config.train.stop = crate::config::Stop::Never;
    config
}

fn name(preset: Preset, kernel: &str) -> String {
    format!("kernel/{preset}/{kernel}")
}

/// Names of the rows of a preset.
pub(super) fn names_of(preset: Preset) -> Result<Vec<String>> {
    let program = Experiment::new(&config(preset))?.program()?;
    let ops = program.plan.segments.iter().flat_map(|segment| &segment.ops);
    let kernels: BTreeSet<&str> = ops.flat_map(|op| &op.calls).map(|call| call.kernel.name()).collect();
    Ok(kernels.into_iter().map(|kernel| name(preset, kernel)).collect())
}

/// Names of the rows of all presets.
pub(super) fn names(quick: bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for preset in presets(quick) {
        names.extend(names_of(*preset)?);
    }
    Ok(names)
}

/// Steps of a preset, kernel by kernel, the longest first.
pub(super) fn measure(make: Make, preset: Preset, watch: &Watch, rates: &Rates) -> Result<Vec<Row>> {
    let mut steps = Stepping::new(make, &config(preset))?;
    let mut seconds: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let mut is_first = true;
    watch.sample(|| {
        let totals = steps.step()?.totals();
        let all = totals.iter().map(|(_, total)| total.seconds).sum();
        // The first step also touches all memory for the first time.
        if !std::mem::take(&mut is_first) {
            for (kernel, total) in totals {
                seconds.entry(kernel).or_default().push(total.seconds);
            }
        }
        Ok(all)
    })?;
    let mut rows: Vec<Row> = seconds
        .into_iter()
        .map(|(kernel, all)| {
            let (work, calls) = steps.work(|launch| launch.kernel.name() == kernel);
            Row::new(name(preset, kernel), calls, Spread::of(all), work, rates)
        })
        .collect();
    rows.sort_by(|a, b| b.seconds.median.total_cmp(&a.seconds.median));
    Ok(rows)
}
