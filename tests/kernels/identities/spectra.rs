//! Spectra that are known, and nulls against draws of random directions.

use gmatrix::plan::{Kernel, control};
use gmatrix::stats::columns;

use crate::backends::Backend;
use crate::case::{Case, numbers};
use crate::cases;
use crate::fill::Rng;
use crate::run::{backends, outputs};

/// A case of these sizes with other contents in its first buffers.
fn with(kernel: Kernel, like: impl Fn(&Case) -> bool, contents: Vec<Vec<f64>>, params: &[usize]) -> Case {
    let mut case = cases::of(kernel).into_iter().find(like).expect("a case");
    case.params = params.to_vec();
    for (buffer, values) in case.buffers.iter_mut().zip(contents) {
        buffer.len = values.len();
        buffer.fill = Box::new(move |_| gmatrix::backend::Values::Numbers(values.clone()));
    }
    case
}

fn eigenvalues(backend: &Backend, matrix: Vec<f64>) -> Vec<f64> {
    let n = (matrix.len() as f64).sqrt() as usize;
    let mut case = with(Kernel::Spectrum, |_| true, vec![matrix, vec![f64::NAN; n]], &[1, n]);
    case.name = format!("n={n}");
    let out = outputs(&case, backend).expect("a launch");
    numbers(&out["eigenvalues"]).to_vec()
}

#[test]
fn spectrum_of_matrices_whose_spectrum_is_known() {
    let matrix = |n: usize, entry: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..n * n).map(|k| entry(k / n, k % n)).collect()
    };
    for backend in backends(Kernel::Spectrum, None) {
        for n in [1, 2, 33, 97, 345] {
            let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
            let toeplitz = |i: usize, j: usize| match i.abs_diff(j) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            };
            let angle = |k: usize| (k + 1) as f64 * std::f64::consts::PI / (n + 1) as f64;
            let mut ones = vec![1.0; n];
            ones[n - 1] = 1.0 + n as f64;
            let rank_one = |i: usize, j: usize| ((i + 1) * (j + 1)) as f64;
            let mut square = vec![0.0; n];
            square[n - 1] = (1..=n).map(|k| (k * k) as f64).sum();
            for (name, found, expected) in [
                ("zero", matrix(n, &|_, _| 0.0), vec![0.0; n]),
                ("identity", matrix(n, &unit), vec![1.0; n]),
                ("ones beside 1", matrix(n, &|i, j| 1.0 + unit(i, j)), ones),
                (
                    "Toeplitz",
                    matrix(n, &toeplitz),
                    (0..n).map(|k| 2.0 - 2.0 * angle(k).cos()).collect(),
                ),
                ("rank one", matrix(n, &rank_one), square),
                ("tiny", matrix(n, &|i, j| 1e-200 * unit(i, j)), vec![1e-200; n]),
            ] {
                let found = eigenvalues(&backend, found);
                let top = expected[n - 1].abs().max(f64::MIN_POSITIVE);
                for (a, b) in found.iter().zip(&expected) {
                    assert!(
                        (a - b).abs() <= 4.0 * n as f64 * f64::EPSILON * top,
                        "{name}, n={n}: {a} {b}"
                    );
                }
                assert!(found.is_sorted(), "{name}, n={n}");
            }
        }
        let mut broken = matrix(5, &|i, j| (i + j) as f64);
        broken[7] = f64::NAN;
        assert!(
            eigenvalues(&backend, broken).iter().all(|l| l.is_nan()),
            "of a matrix that is not finite"
        );
    }
}

/// The nulls of a raw Gram matrix with these squared norms.
fn nulls(backend: &Backend, squares: &[f64], parameters: usize) -> [f64; 2] {
    let n = squares.len();
    let mut sums = vec![1.0; 32 + 3 * n];
    sums[32..32 + n].copy_from_slice(squares);
    let like = |case: &Case| case.spec() == [0];
    let mut case = with(Kernel::RankStatistics, like, vec![sums], &[n, parameters]);
    case.name = format!("n={n} P={parameters}");
    let out = outputs(&case, backend).expect("a launch");
    let row = &numbers(&out["scalars"])[control::RATES + columns::RAW..];
    [row[7], row[8]]
}

/// exp of the entropy of the shares of some numbers.
fn entropy_rank(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let total: f64 = x.clone().sum();
    let shares = x.map(|v| v / total).filter(|q| *q > 0.0);
    (-shares.map(|q| q * q.ln()).sum::<f64>()).exp()
}

#[test]
fn rank_statistics_nulls_are_what_random_directions_give() {
    // n, P, standard deviation of ln norm
    for (n, parameters, sd) in [
        (40, 640, 0.0),
        (40, 640, 1.0),
        (40, 2000, 2.0),
        (24, 400, 3.0),
        (60, 300, 1.0),
    ] {
        let mut rng = Rng::new((n + parameters) as u64);
        let norms: Vec<f64> = rng.normals(n).into_iter().map(|x| (sd * x).exp()).collect();
        let backend = &backends(Kernel::Spectrum, None)[0];
        let mut found = [Vec::new(), Vec::new()];
        for _ in 0..20 {
            let rows: Vec<Vec<f64>> = norms
                .iter()
                .map(|norm| {
                    let row = rng.normals(parameters);
                    let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                    row.into_iter().map(|x| norm * x / length).collect()
                })
                .collect();
            let product = |i: usize, j: usize| rows[i].iter().zip(&rows[j]).map(|(x, y)| x * y).sum::<f64>();
            let gram = (0..n * n).map(|k| product(k / n, k % n)).collect();
            let values: Vec<f64> = eigenvalues(backend, gram).into_iter().map(|l| l.max(0.0)).collect();
            found[0].push(entropy_rank(values.iter().map(|l| l.sqrt())));
            found[1].push(entropy_rank(values.iter().copied()));
        }
        let squares: Vec<f64> = norms.iter().map(|x| x * x).collect();
        for backend in backends(Kernel::RankStatistics, None) {
            let nulls = nulls(&backend, &squares, parameters);
            // Where P is below 16 n, a GPU may have no null.
            if backend.name != "cpu" && parameters < 16 * n && nulls.iter().all(|null| null.is_nan()) {
                continue;
            }
            for (null, draws) in nulls.into_iter().zip(&found) {
                let count = draws.len() as f64;
                let mean = draws.iter().sum::<f64>() / count;
                let spread = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
                // The closed form is of second order; where P is below 16 n, one draw stands for all.
                let bound = 0.005 * mean + 4.0 * spread;
                assert!(
                    (null - mean).abs() <= bound,
                    "n={n} P={parameters} sd={sd}: {null}, drawn {mean} +- {spread}"
                );
            }
        }
    }
}

#[test]
fn rank_statistics_are_ordered_and_capped() {
    // stable rank <= participation ratio <= erank_lambda <= erank_sigma <= rank (SCIENCE of the docs, 3.1)
    for backend in backends(Kernel::RankStatistics, None) {
        for n in [2, 31, 97] {
            let mut rng = Rng::new(n as u64);
            let mut values: Vec<f64> = (0..n).map(|_| 10f64.powf(rng.uniform(-2.0, 1.0))).collect();
            values.sort_by(f64::total_cmp);
            let mut sums = vec![1.0; 32 + 3 * n];
            for form in 0..3 {
                sums[8 * form] = values.iter().sum();
                sums[8 * form + 1] = values.iter().map(|l| l * l).sum();
            }
            let eigenvalues = [values.clone(), values.clone(), values].concat();
            let like = |case: &Case| case.spec() == [1];
            let case = with(Kernel::RankStatistics, like, vec![sums, eigenvalues], &[n, 5000]);
            let out = outputs(&case, &backend).expect("a launch");
            let row = &numbers(&out["scalars"])[control::RATES + columns::RAW..];
            let ranks = [row[4], row[2], row[1], row[0], row[5], n as f64];
            assert!(ranks.is_sorted() && ranks[0] >= 1.0, "{ranks:?}");
        }
    }
}
