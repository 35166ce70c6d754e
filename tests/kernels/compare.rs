//! Comparators, and tests that they can fail.

use gmatrix::backend::Values;

use crate::numbers::{Real, Truth};

/// What a comparison found.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The largest error in units of the bound.
    Holds(f64),
    /// Where and by how much it is broken.
    Fails(String),
}

/// Compares numbers with the truth. Two measures, both relative to the scale of the terms: the largest error, at most
/// `2 * that of the naive loop + floor`; and the mean square error, at most `4 * that of the naive loop + floor^2`.
/// What is infinite or NaN must be so exactly. `single`: results below the range of f32 count as zero.
pub fn compare(found: &[f64], truth: &[Truth], naive: &[f64], floor: f64, single: bool) -> Verdict {
    if found.len() != truth.len() || found.len() != naive.len() {
        return Verdict::Fails(format!(": {} numbers, expected {}", found.len(), truth.len()));
    }
    let smallest = f64::from(if single { f32::MIN_POSITIVE } else { 0.0 }).max(f64::MIN_POSITIVE);
    let mut worst = (0.0, 0);
    let mut worst_naive: f64 = 0.0;
    let (mut square, mut square_naive, mut weight) = (0.0, 0.0, 0.0);
    for (k, ((x, truth), naive)) in found.iter().zip(truth).zip(naive).enumerate() {
        let value = truth.value();
        if !value.is_finite() || !x.is_finite() {
            let beyond = single && value.abs() > f64::from(f32::MAX) && *x == value.signum() * f64::INFINITY;
            let same = x.to_bits() == value.to_bits() || (x.is_nan() && value.is_nan()) || beyond;
            if !same {
                return Verdict::Fails(format!("[{k}] is {x}, expected {value}"));
            }
            continue;
        }
        let scale = truth.scale().max(smallest);
        let error = truth.minus(*x).abs();
        // Where the naive loop fails altogether it sets no bound.
        let error_naive = if naive.is_finite() {
            truth.minus(*naive).abs()
        } else {
            0.0
        };
        if error / scale > worst.0 {
            worst = (error / scale, k);
        }
        worst_naive = worst_naive.max(error_naive / scale);
        square += (error / scale).powi(2);
        square_naive += (error_naive / scale).powi(2);
        weight += 1.0;
    }
    let bound = 2.0 * worst_naive + floor;
    if worst.0 > bound {
        let (error, k) = worst;
        return Verdict::Fails(format!(
            "[{k}] is {}, expected {}: error {error:.2e} of the scale, bound {bound:.2e} (naive {worst_naive:.2e})",
            found[k],
            truth[k].value()
        ));
    }
    let square_bound = 4.0 * square_naive + weight * floor * floor;
    if square > square_bound {
        return Verdict::Fails(format!(": mean square error {square:.2e}, bound {square_bound:.2e}"));
    }
    Verdict::Holds(if bound > 0.0 { worst.0 / bound } else { 0.0 })
}

/// Places at which two buffers differ in their bits; any NaN equals any other.
pub fn same_bits(one: &Values, other: &Values) -> Vec<usize> {
    match (one, other) {
        (Values::Numbers(a), Values::Numbers(b)) if a.len() == b.len() => {
            let differ = |(x, y): (&f64, &f64)| x.to_bits() != y.to_bits() && !(x.is_nan() && y.is_nan());
            let pairs = a.iter().zip(b).enumerate();
            pairs.filter(|(_, pair)| differ(*pair)).map(|(k, _)| k).collect()
        }
        (Values::Words(a), Values::Words(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .filter(|(_, (x, y))| x != y)
            .map(|(k, _)| k)
            .collect(),
        _ => vec![0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 numbers about 1 with a scale of 1.
    fn numbers() -> (Vec<f64>, Vec<Truth>) {
        let values: Vec<f64> = (0..100).map(|k| 1.0 - f64::from(k) * 1e-3).collect();
        let truth = values.iter().map(|x| Truth::new(*x)).collect();
        (values, truth)
    }

    fn objects(found: &[f64], naive: &[f64]) -> bool {
        let (_, truth) = numbers();
        matches!(compare(found, &truth, naive, 1e-7, true), Verdict::Fails(_))
    }

    #[test]
    fn the_bound_follows_the_naive_loop() {
        let (exact, _) = numbers();
        let off = |by: f64| exact.iter().map(|x| x + by).collect::<Vec<_>>();
        assert!(!objects(&exact, &exact));
        assert!(!objects(&off(0.9e-7), &exact));
        assert!(objects(&off(1.1e-7), &exact));
        assert!(!objects(&off(1.9e-6), &off(1e-6)));
        assert!(objects(&off(2.2e-6), &off(1e-6)));
    }

    #[test]
    fn one_bad_number_among_many_is_found() {
        let (exact, _) = numbers();
        for bad in [0.5, f64::NAN, f64::INFINITY, -exact[77], 0.0] {
            let mut found = exact.clone();
            found[77] = bad;
            assert!(objects(&found, &exact), "{bad}");
        }
        assert!(objects(&exact[..99], &exact));
    }

    #[test]
    fn many_small_errors_show_in_the_mean_square() {
        let (exact, _) = numbers();
        // The naive loop is off at one place only, which alone would allow as much everywhere.
        let mut naive = exact.clone();
        naive[3] += 1e-4;
        let found: Vec<f64> = exact.iter().map(|x| x + 1.5e-4).collect();
        assert!(objects(&found, &naive));
    }

    #[test]
    fn infinities_and_nan_must_be_where_they_belong() {
        let truth = [f64::INFINITY, f64::NAN].map(Truth::new);
        let of = |found: [f64; 2]| compare(&found, &truth, &found, 1e-7, false);
        assert_eq!(of([f64::INFINITY, f64::NAN]), Verdict::Holds(0.0));
        assert!(matches!(of([f64::NEG_INFINITY, f64::NAN]), Verdict::Fails(_)));
        assert!(matches!(of([f64::INFINITY, 0.0]), Verdict::Fails(_)));
        assert!(matches!(of([f64::NAN, f64::NAN]), Verdict::Fails(_)));
    }

    #[test]
    fn one_bit_is_a_difference() {
        let numbers = |x: f64| Values::Numbers(vec![1.0, x, f64::NAN]);
        assert_eq!(same_bits(&numbers(2.0), &numbers(2.0)), Vec::<usize>::new());
        assert_eq!(same_bits(&numbers(2.0), &numbers(2.0 + f64::EPSILON * 2.0)), [1]);
        assert_eq!(same_bits(&numbers(0.0), &numbers(-0.0)), [1]);
        assert_eq!(same_bits(&Values::Words(vec![7, 8]), &Values::Words(vec![7, 9])), [1]);
    }
}
