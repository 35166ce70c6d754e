//! Precision twins: runs that differ in nothing but precision, or in how exactly the cross-entropy is computed. They begin with
//! the same weights and see the same batches, so that where they part is the doing of digits alone.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::json;

use super::collect::EndedRun;
use super::directory::SweepDirectory;
use super::spec::SweepRun;
use crate::backend::Precision;
use crate::config::LossKind;
use crate::error::Result;
use crate::record::{MetricsTable, read_metrics};

/// The series that is compared: it is measured at every step.
const SERIES: &str = "batch_loss";
/// Twins have parted where the series differs by more than this share of the larger value.
const PARTED: f64 = 0.01;

/// Adds to each run that has a more exact twin: `twin`, the number of the most exact one; `twin.differs`, the first step at
/// which their losses differ in any bit; and `twin.parts`, the first at which they differ by more than 1 %.
///
/// # Errors
/// [`crate::ErrorKind::Io`] if a run's metrics are damaged.
pub(super) fn compare_twins(directory: &SweepDirectory, runs: &mut [EndedRun]) -> Result<()> {
    let mut families: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (k, ended) in runs.iter().enumerate() {
        families.entry(family(&ended.run)?).or_default().push(k);
    }
    let compared: Result<Vec<_>> = families
        .into_par_iter()
        .filter(|(_, members)| members.len() > 1)
        .map(|(_, mut members)| {
            members.sort_by_key(|k| inexactness(&runs[*k].run));
            let of = |k: usize| read_metrics(&directory.run(runs[k].run.number));
            let exact = of(members[0])?;
            let others = members[1..].iter().map(|k| Ok((*k, partings(&exact, &of(*k)?))));
            Ok((members[0], others.collect::<Result<Vec<_>>>()?))
        })
        .collect();
    for (exact, others) in compared? {
        let twin = runs[exact].run.number;
        for (k, [differs, parts]) in others {
            let results = &mut runs[k].results;
            results.insert("twin".to_owned(), json!(twin));
            for (name, step) in [("twin.differs", differs), ("twin.parts", parts)] {
                if let Some(step) = step {
                    results.insert(name.to_owned(), json!(step));
                }
            }
        }
    }
    Ok(())
}

/// What twins have in common, as text.
fn family(run: &SweepRun) -> Result<String> {
    let mut config = run.config.clone();
    if config.loss.kind == LossKind::CrossEntropyNaive {
        config.loss.kind = LossKind::CrossEntropy;
    }
    config.to_toml()
}

/// The order of twins, the most exact first; the number decides among equals.
fn inexactness(run: &SweepRun) -> (bool, bool, u32) {
    let is_single = run.precision == Precision::F32;
    (
        is_single,
        run.config.loss.kind == LossKind::CrossEntropyNaive,
        run.number,
    )
}

/// The first steps at which two series differ at all, and by more than [`PARTED`].
fn partings(a: &MetricsTable, b: &MetricsTable) -> [Option<u64>; 2] {
    let b: BTreeMap<u64, f64> = b.measured(SERIES).collect();
    let both: Vec<(u64, f64, f64)> = a
        .measured(SERIES)
        .filter_map(|(step, x)| Some((step, x, *b.get(&step)?)))
        .collect();
    let first = |differs: fn(f64, f64) -> bool| both.iter().find(|(_, x, y)| differs(*x, *y)).map(|(step, ..)| *step);
    [
        first(|x, y| x != y),
        // An infinite loss parts from a finite one.
        first(|x, y| x != y && ((x - y).abs() > PARTED * x.abs().max(y.abs()) || x.is_infinite() || y.is_infinite())),
    ]
}
