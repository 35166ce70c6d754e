//! Everything there is to measure in a run, on the CPU and on wgpu.

use super::support::{F32, F64, WGPU, error, experiment, is_rounding, rows};
use super::supported;

/// Compares all columns that do not count rounding errors over some steps.
fn compare(settings: &[&str], steps: u64) {
    let experiment = experiment(settings);
    let (columns, exact) = rows(F64, &experiment, steps);
    let (_, single) = rows(F32, &experiment, steps);
    let (_, found) = rows(WGPU, &experiment, steps);
    for (column, name) in columns.iter().enumerate().filter(|(_, name)| !is_rounding(name)) {
        if let Some(rank) = name
            .strip_suffix("_se")
            .filter(|name| name.contains("_rank") || name.contains("erank"))
        {
            // What f32 does not find exactly is left to chance, and must be little where the CPU searches everything.
            let of = columns
                .iter()
                .position(|other| other == rank)
                .expect("a rank for each error");
            for row in &found {
                let (rank, error) = (row.values[of], row.values[column]);
                assert!(
                    (rank.is_nan() && error.is_nan()) || error <= 0.02 * rank,
                    "{name}: {error} of {rank}"
                );
            }
            continue;
        }
        // Of so few parameters for each sample wgpu knows no null.
        let is_small = ["group.", "activation.", "function."]
            .iter()
            .any(|start| name.starts_with(start));
        if is_small && name.contains(".null_erank") && found.iter().all(|row| row.values[column].is_nan()) {
            continue;
        }
        let (own, of_cpu) = (error(&found, &exact, column), error(&single, &exact, column));
        let bound = 1e-3 + 10.0 * of_cpu;
        assert!(
            own <= bound,
            "{settings:?}: {name} off by {own:e}, CPU in f32 by {of_cpu:e}"
        );
    }
}

const ALL: [&str; 3] = ["stats.gram_every=2", "stats.decompose_every=2", "stats.samples=30"];

#[test]
fn wgpu_measures_as_the_cpu_does() {
    if !supported() {
        return;
    }
    // With minibatches and LayerNorm, and without.
    compare(
        &[
            &ALL[..],
            &["optimizer.batch=16", "model.norm=pre", "model.activation=gelu"],
        ]
        .concat(),
        5,
    );
    compare(&[&ALL[..], &["stats.spectrum=off"]].concat(), 5);
}

/// `centred_cosine` and the others that training has.
const GRAMS: &str =
    r#"stats.grams=["centred_cosine","unit_residual","preconditioned","group","activation","function","block"]"#;

#[test]
fn wgpu_measures_further_grams_as_the_cpu_does() {
    if !supported() {
        return;
    }
    compare(&[&ALL[..], &[GRAMS]].concat(), 5);
}

#[test]
fn wgpu_estimates_spectra_as_the_cpu_does() {
    if !supported() {
        return;
    }
    let estimated = ["stats.spectrum=lanczos", r#"stats.grams=["unit_residual"]"#];
    compare(&[&ALL[..], &estimated].concat(), 5);
}

#[test]
fn wgpu_averages_streams_as_the_cpu_does() {
    if !supported() {
        return;
    }
    let stream = ["optimizer.batch=16", "stats.stream=16", "stats.scalars_every=1"];
    compare(&stream, 17);
}
