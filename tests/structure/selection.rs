//! Selection among samples: rates are products of gradients, residuals are cotangents of the logits, the terms add up.

use std::path::Path;

use gmatrix::config::LossKind;
use gmatrix::measure::gradient_sum_on;
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::selection::{drift, quarters, rates, select};
use gmatrix::task::Examples;

use super::oracle::make;

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn rates_and_residuals_are_those_of_the_gradients() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trainer/fixtures/transformer_mul");
    let examples = Examples::read(folder.join("data.safetensors")).unwrap();
    let (shape, weights) = read_weights(folder.join("weights.safetensors"), Overrides::default()).unwrap();
    let kind = LossKind::CrossEntropy;
    let (sum, losses) = gradient_sum_on(&make, &shape, &weights, &examples, kind).unwrap();
    let found = rates(
        &make,
        &shape,
        &weights,
        &examples,
        kind,
        &[sum.clone(), weights.clone()],
    )
    .unwrap();
    // A pass over one sample and one over all multiply in other panels.
    let alike = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13 * b;
    assert!(found.losses.iter().zip(&losses).all(alike));
    let n = examples.n;
    // The rates add up to the change under the whole gradient.
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for (rates, of) in found.rates.iter().zip([&sum, &weights]) {
        let (total, expected) = (rates.iter().sum::<f64>(), -dot(of, &sum));
        assert!((total - expected).abs() < 1e-12 * dot(of, of).sqrt() * dot(&sum, &sum).sqrt());
    }
    // The residual of cross-entropy is p - e_y: its entries sum to 0, and that of the label is p_y - 1.
    for (residual, loss) in found.residuals.iter().zip(&losses) {
        let missed = 1.0 - (-loss).exp();
        let classes = shape.classes() as f64;
        // The others' share is between spread out evenly and on one class.
        let bounds = [missed * (1.0 + 1.0 / (classes - 1.0)).sqrt(), missed * 2.0f64.sqrt()];
        assert!(*residual >= bounds[0] * (1.0 - 1e-12) && *residual <= bounds[1] * (1.0 + 1e-12));
    }

    let class: Vec<usize> = examples.labels.iter().map(|label| *label as usize).collect();
    let quarter = quarters(&found.losses);
    for rates in &found.rates {
        let selection = select(rates, &found.residuals, &[class.clone(), quarter.clone()]).unwrap();
        let d: Vec<f64> = rates.iter().zip(&found.residuals).map(|(x, r)| x / r).collect();
        let (mean_r, mean_d) = (mean(found.residuals.iter().copied()), mean(d.iter().copied()));
        let covariance = mean((0..n).map(|i| (found.residuals[i] - mean_r) * (d[i] - mean_d)));
        let scale = rates.iter().map(|x| x.abs()).sum::<f64>() / n as f64;
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-13 * scale, "{a} {b}, scale {scale}");
        assert_eq!(selection.n, n);
        near(selection.change, mean(rates.iter().copied()));
        near(selection.uniform, mean_r * mean_d);
        near(selection.covariance, covariance);
        near(selection.change, selection.uniform + selection.covariance);
        for ([between, within], groups) in selection.levels.iter().zip([&class, &quarter]) {
            near(between + within, selection.covariance);
            // Between: the covariance of the groups' means, weighted by their sizes.
            let of_group =
                |values: &[f64], group: usize| mean((0..n).filter(|i| groups[*i] == group).map(|i| values[i]));
            let by_group = (0..n).map(|i| {
                let r = of_group(&found.residuals, groups[i]) - mean_r;
                // The character of a group is its mean at equal weights.
                r * (of_group(&d, groups[i]) - mean_d)
            });
            near(*between, mean(by_group));
        }
    }
}

#[test]
fn samples_without_residual_are_left_out() {
    let selection = select(&[1.0, 0.0, -3.0], &[0.5, 0.0, 1.5], &[vec![0, 1, 2]]).unwrap();
    assert_eq!((selection.n, selection.change), (2, -1.0));
    // d = 2, -2; mean r = 1: Cov(r, d) = -1.
    assert!((selection.uniform, selection.covariance) == (0.0, -1.0));
    assert!(select(&[0.0], &[0.0], &[]).is_err());
    assert!(select(&[0.0, 1.0], &[0.0], &[]).is_err());
}

/// The standard deviation is that over all batches; their mean is 0.
#[test]
fn drift_is_that_of_all_batches() {
    let rates = [0.3, -1.0, 2.5, 0.1, -0.7];
    let mut values = Vec::new();
    for bits in 0u32..32 {
        let is_in: Vec<bool> = (0..5).map(|k| bits >> k & 1 == 1).collect();
        match drift(&rates, &is_in) {
            Some(drift) if bits.count_ones() == 2 => values.push(drift),
            Some(_) => {}
            None => assert!(bits == 0 || bits == 31),
        }
    }
    assert_eq!(values.len(), 10);
    assert!(mean(values.iter().map(|drift| drift.value)).abs() < 1e-15);
    let sd = mean(values.iter().map(|drift| drift.value.powi(2))).sqrt();
    assert!((values[0].sd - sd).abs() < 1e-14, "{} {sd}", values[0].sd);
    assert_eq!(quarters(&[5.0, 1.0, 2.0, 9.0, 0.0, 3.0]), [2, 0, 1, 3, 0, 2]);
}
