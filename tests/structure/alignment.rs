//! Alignment, persistence, and what random pairings have.

use gmatrix::alignment::{compare, covariance};
use gmatrix::backend::Precision;
use gmatrix::config::LossKind;
use gmatrix::measure::{Request, measure, per_sample_gradients};
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::task::Examples;
use std::path::Path;

use super::oracle::make;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn cosines_are_those_of_the_gram_matrix_and_of_gradients() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trainer/fixtures/transformer_mul");
    let examples = Examples::read(folder.join("data.safetensors")).unwrap();
    let (shape, before) = read_weights(folder.join("weights.safetensors"), Overrides::default()).unwrap();
    let after: Vec<f64> = before
        .iter()
        .enumerate()
        .map(|(k, w)| w + 0.01 * (k as f64).sin())
        .collect();
    let kind = LossKind::CrossEntropy;
    let rows: Vec<u32> = (0..examples.n as u32).step_by(2).collect();
    let found = compare(&make, &shape, [&before, &after], &examples, &rows, kind).unwrap();
    assert_eq!(found.alignment.len(), rows.len());

    let request = Request {
        precision: Precision::F64,
        loss: kind,
        properties: Vec::new(),
        group: None,
        spectrum: false,
        gram: true,
        grams: Vec::new(),
        probes: None,
    };
    let [first, second] = [&before, &after].map(|weights| measure(&shape, weights, &examples, &request).unwrap());
    let gradients = [&before, &after].map(|weights| {
        let mut rows = Vec::new();
        per_sample_gradients(&shape, weights, &examples, &request, |_, g| {
            rows.push(g.to_vec());
            Ok(())
        })
        .unwrap();
        rows
    });
    let (n, gram) = (examples.n, first.gram.unwrap());
    for (k, i) in rows.iter().map(|row| *row as usize).enumerate() {
        // From the Gram matrix alone: g_i . sum of the others, and its square.
        let others = || (0..n).filter(move |j| *j != i);
        let product: f64 = others().map(|j| gram[i * n + j]).sum();
        let square: f64 = others()
            .flat_map(|j| others().map(move |l| (j, l)))
            .map(|(j, l)| gram[j * n + l])
            .sum();
        let expected = product / (gram[i * n + i] * square).sqrt();
        let error = (found.alignment[k] - expected).abs();
        assert!(error < 1e-10, "sample {i}: {}, expected {expected}", found.alignment[k]);
        let (g, h) = (&gradients[0][i], &gradients[1][i]);
        let expected = dot(g, h) / (dot(g, g) * dot(h, h)).sqrt();
        assert!((found.persistence[k] - expected).abs() < 1e-12, "sample {i}");
        assert!((found.loss_fall[k] - (first.losses[i] - second.losses[i])).abs() < 1e-15);
    }
    let same = compare(&make, &shape, [&before, &before], &examples, &rows, kind).unwrap();
    assert!(same.persistence.iter().all(|s| (s - 1.0).abs() < 1e-12));
    assert!(same.loss_fall.iter().all(|f| *f == 0.0));
}

#[test]
fn the_null_is_that_of_all_pairings() {
    let x = [0.3, -1.0, 2.5, 0.1, f64::NAN];
    let y = [1.0, 0.5, -0.2, 4.0, 7.0];
    let found = covariance(&x, &y).unwrap();
    assert_eq!(found.n, 4);
    let mut orders = Vec::new();
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| *c != a && *c != b) {
                orders.push([a, b, c, 6 - a - b - c]);
            }
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let paired = |order: &[usize; 4]| {
        let (mx, my) = (mean(&x[..4]), mean(&y[..4]));
        (0..4).map(|i| (x[i] - mx) * (y[order[i]] - my) / 4.0).sum::<f64>()
    };
    let all: Vec<f64> = orders.iter().map(paired).collect();
    assert_eq!(all.len(), 24);
    assert!(mean(&all).abs() < 1e-15);
    let sd = mean(&all.iter().map(|c| c * c).collect::<Vec<_>>()).sqrt();
    assert!((found.null_sd - sd).abs() < 1e-14, "{} {sd}", found.null_sd);
    assert!((found.value - paired(&[0, 1, 2, 3])).abs() < 1e-15);

    assert!(covariance(&[1.0], &[2.0]).unwrap().value.is_nan());
    assert!(covariance(&[1.0], &[]).is_err());
}
