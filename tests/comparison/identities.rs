//! What must hold whatever the networks are.

use gmatrix::comparison::representation::{cka, svcca};
use gmatrix::comparison::subspace::principal_angles;
use gmatrix::comparison::{Comparison, Ground, Matrix, compare, frequencies, predictions, total_variation};
use gmatrix::config::{LossKind, TaskOp};
use gmatrix::model::Layout;
use gmatrix::random::{Purpose, Stream};
use gmatrix::structure::Table;
use gmatrix::structure::neurons::Neuron;
use gmatrix::task::Cyclic;

use super::oracle::{CASES, make, network, other};

fn random(rows: usize, cols: usize, sub: u32) -> Matrix {
    let stream = Stream::new(1, Purpose::Analysis).substream(sub);
    let values = (0..rows * cols).map(|i| stream.normal(i as u64)).collect();
    Matrix::new(rows, cols, values).unwrap()
}

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let entry = |k: usize| {
        let (i, j) = (k / b.cols, k % b.cols);
        (0..a.cols)
            .map(|l| a.values[i * a.cols + l] * b.values[l * b.cols + j])
            .sum()
    };
    Matrix::new(a.rows, b.cols, (0..a.rows * b.cols).map(entry).collect()).unwrap()
}

/// A random orthogonal map: left singular vectors of a random matrix.
fn rotation(n: usize, sub: u32) -> Matrix {
    random(n, n, sub).directions().unwrap().vectors
}

#[track_caller]
fn assert_near(what: &str, found: Option<f64>, expected: f64, within: f64) {
    let found = found.unwrap_or_else(|| panic!("{what} is not defined"));
    assert!(
        (found - expected).abs() <= within,
        "{what}: {found}, expected {expected}"
    );
}

#[test]
fn alignment_of_kernels_ignores_rotations_scales_and_shifts() {
    // More samples than columns, and fewer: two ways to the same number.
    for (n, x_cols, y_cols) in [(40, 6, 9), (12, 20, 31)] {
        let (x, y) = (random(n, x_cols, 1), random(n, y_cols, 2));
        let plain = cka(&x, &y).unwrap().unwrap();
        assert!(plain > 0.0 && plain < 1.0, "{plain}");
        let mut turned = times(&x, &rotation(x_cols, 3));
        turned
            .values
            .iter_mut()
            .enumerate()
            .for_each(|(k, v)| *v = *v * 7.0 + (k % x_cols) as f64);
        assert_near("turned", cka(&turned, &y).unwrap(), plain, 1e-12);
        assert_near("with itself", cka(&x, &turned).unwrap(), 1.0, 1e-12);
        assert_near("turned about", cka(&y, &x).unwrap(), plain, 1e-12);
    }
    let stretched = times(&random(40, 6, 1), &random(6, 6, 5));
    assert!(cka(&random(40, 6, 1), &stretched).unwrap().unwrap() < 0.99);
}

#[test]
fn canonical_correlations_ignore_invertible_maps() {
    let (x, y) = (random(50, 6, 1), random(50, 9, 2));
    let plain = svcca(&x, &y, 1.0).unwrap().unwrap();
    assert!(plain > 0.0 && plain < 0.9, "{plain}");
    let mapped = times(&x, &random(6, 6, 5));
    assert_near("mapped", svcca(&mapped, &y, 1.0).unwrap(), plain, 1e-10);
    assert_near("with itself", svcca(&x, &mapped, 1.0).unwrap(), 1.0, 1e-10);
    // With fewer directions only rotations leave them as they are.
    let few = svcca(&x, &y, 0.7).unwrap().unwrap();
    let turned = times(&x, &rotation(6, 3));
    assert_near("turned", svcca(&turned, &y, 0.7).unwrap(), few, 1e-10);
    // Directions that are copies of others count once.
    let doubled = times(
        &x,
        &Matrix::new(6, 12, (0..72).map(|k| f64::from(u8::from(k / 12 == k % 6))).collect()).unwrap(),
    );
    assert_near("doubled", svcca(&doubled, &x, 1.0).unwrap(), 1.0, 1e-10);
}

#[test]
fn what_does_not_vary_is_like_nothing() {
    let flat = Matrix::new(10, 3, [1.0, 2.0, 3.0].repeat(10)).unwrap();
    let x = random(10, 3, 1);
    assert_eq!(cka(&flat, &x).unwrap(), None);
    assert_eq!(svcca(&flat, &x, 0.99).unwrap(), None);
    assert!(cka(&x, &random(11, 3, 1)).is_err());
    let broken = Matrix::new(2, 1, vec![f64::NAN, 1.0]).unwrap();
    assert!(svcca(&broken, &broken, 0.99).is_err());
    assert!(Matrix::new(2, 2, vec![0.0; 3]).is_err());
}

#[test]
fn angles_are_those_by_which_a_space_is_turned() {
    // Leading directions e1 and e2 (centred columns), the second of b turned by a small and a large angle.
    let n = 8;
    let wave = |k: f64, phase: f64| -> Vec<f64> {
        (0..n)
            .map(|i| (std::f64::consts::TAU * k * i as f64 / n as f64 + phase).cos())
            .collect()
    };
    let matrix = |columns: &[Vec<f64>]| {
        let values = (0..n).flat_map(|i| columns.iter().map(move |c| c[i])).collect();
        Matrix::new(n, columns.len(), values).unwrap()
    };
    let [first, second, third] = [wave(1.0, 0.0), wave(1.0, -std::f64::consts::FRAC_PI_2), wave(2.0, 0.0)];
    for angle in [1e-9_f64, 0.3, 1.2] {
        let turned: Vec<f64> = second
            .iter()
            .zip(&third)
            .map(|(s, t): (&f64, &f64)| angle.cos() * s + angle.sin() * t)
            .collect();
        let a = matrix(&[first.clone(), second.clone()]);
        let b = matrix(&[first.clone(), turned]);
        let found = principal_angles(&a, &b, 2).unwrap();
        assert!(found[0].abs() < 1e-14, "{found:?}");
        assert!(
            (found[1] - angle).abs() < 1e-14 + 1e-7 * angle,
            "{found:?}, expected {angle}"
        );
    }
    let x = random(20, 7, 1);
    let found = principal_angles(&x, &times(&x, &rotation(7, 2)), 3).unwrap();
    assert!(
        found.len() == 3 && found.iter().all(|angle| *angle < 1e-12),
        "{found:?}"
    );
}

fn compared(name: &str, second: impl Fn(&gmatrix::model::ModelShape, &[f64]) -> Vec<f64>) -> Comparison {
    let (shape, weights, examples) = network(name);
    let other = second(&shape, &weights);
    let ops = [TaskOp::Add, TaskOp::Sub, TaskOp::Mul, TaskOp::Div];
    let op = ops[CASES.iter().position(|case| *case == name).unwrap()];
    let group = Cyclic::new(op, shape.classes() as u32).unwrap();
    let nothing = examples.select(&[]);
    let table = Table::new(group, &examples, &nothing, LossKind::CrossEntropy).unwrap();
    let ground = Ground {
        examples: &examples,
        table: Some(&table),
        directions: 4,
    };
    compare(&make, (&shape, &weights), (&shape, &other), &ground).unwrap()
}

#[test]
fn a_network_is_like_itself() {
    for name in CASES {
        let found = compared(name, |_, weights| weights.to_vec());
        for (key, value) in &found.scalars {
            let Some(value) = *value else { continue };
            let expected = match key.as_str() {
                key if key.starts_with("accuracy.") => continue,
                key if key.ends_with("distance") || key.contains("total_variation") || key.ends_with("largest") => 0.0,
                _ => 1.0,
            };
            assert_near(&format!("{name} {key}"), Some(value), expected, 1e-10);
        }
        assert!(
            found.angles.values().flatten().all(|angle| angle.abs() < 1e-7),
            "{name}"
        );
        assert!(found.scalars["function.agreement"] == Some(1.0));
    }
}

#[test]
fn neurons_in_another_order_are_the_same_network_with_other_weights() {
    for name in CASES {
        let found = compared(name, |shape, weights| {
            let layout = Layout::new(shape);
            let names = match shape {
                gmatrix::model::ModelShape::Transformer(_) => {
                    ["blocks.0.mlp.W_in", "blocks.0.mlp.b_in", "blocks.0.mlp.W_out"]
                }
                gmatrix::model::ModelShape::Mlp(_) => ["layers.0.W", "layers.0.b", "layers.1.W"],
            };
            let mut permuted = weights.to_vec();
            for (place, name) in names.into_iter().enumerate() {
                let Some(t) = layout.tensors.iter().find(|t| t.name == name) else {
                    continue;
                };
                for (r, c) in (0..t.rows).flat_map(|r| (0..t.cols).map(move |c| (r, c))) {
                    let (from_r, from_c) = if place == 2 {
                        ((r + 1) % t.rows, c)
                    } else {
                        (r, (c + 1) % t.cols)
                    };
                    permuted[t.offset + r * t.cols + c] = weights[t.offset + from_r * t.cols + from_c];
                }
            }
            permuted
        });
        for key in found
            .scalars
            .keys()
            .filter(|key| key.starts_with("cka.") || key.starts_with("svcca."))
        {
            if let Some(value) = found.scalars[key] {
                assert_near(&format!("{name} {key}"), Some(value), 1.0, 1e-10);
            }
        }
        assert_near(name, found.scalars["function.distance"], 0.0, 1e-10);
        assert_near(name, found.scalars["frequencies.total_variation"], 0.0, 1e-12);
        assert_near(name, found.scalars["frequencies.total_variation_norm"], 0.0, 1e-12);
        assert!(found.scalars["weights.all.cosine"].unwrap() < 0.99, "{name}");
        assert_near(name, found.scalars["weights.all.norm_ratio"], 1.0, 1e-12);
    }
}

#[test]
fn other_weights_are_another_network() {
    let found = compared("transformer_mul", other);
    assert!(found.scalars["function.agreement"].unwrap() < 0.9);
    assert!(found.scalars["cka.unembed.W_U"].unwrap() < 0.9);
    assert!(found.angles["embedding"].len() == 4);
}

#[test]
fn frequencies_are_counted_and_weighed() {
    let neuron = |cluster: Option<usize>, norm: f64| Neuron {
        layer: 0,
        frequency: cluster.unwrap_or(1),
        purity: 1.0,
        norm,
        cluster,
    };
    let a = [
        neuron(Some(1), 3.0),
        neuron(Some(2), 1.0),
        neuron(None, 0.0),
        neuron(Some(2), 0.0),
    ];
    let b = [neuron(Some(2), 1.0), neuron(Some(3), 1.0)];
    let found = frequencies(&a, &b, 7);
    assert_eq!(found.keys, [vec![1, 2], vec![2, 3]]);
    assert_eq!(found.jaccard, Some(1.0 / 3.0));
    // Shares (1/4, 1/2, 0, rest 1/4) and (0, 1/2, 1/2, 0); by norm (3/4, 1/4, 0, 0) and (0, 1/2, 1/2, 0).
    assert!((found.by_number - 0.5).abs() < 1e-15, "{}", found.by_number);
    assert!((found.by_norm - 0.75).abs() < 1e-15, "{}", found.by_norm);
    assert_eq!(frequencies(&a[2..3], &a[2..3], 7).jaccard, None);
    assert_eq!(total_variation(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
}

#[test]
fn a_shift_of_all_logits_changes_no_prediction() {
    let a = [1.0, 2.0, 0.0, 0.5, -1.0, 3.0];
    let b: Vec<f64> = a.iter().map(|z| z + 5.0).collect();
    let found = predictions(&a, &b, 3).unwrap();
    assert!(found.distance < 1e-14 && found.total_variation < 1e-14, "{found:?}");
    assert_eq!(found.agreement, 1.0);
    assert!(predictions(&a, &b, 4).is_err() && predictions(&[], &[], 3).is_err());
}
