//! Price's equation.

use gmatrix::analysis::draws::Draws;
use gmatrix::analysis::price::{price, price_in_groups};
use proptest::prelude::*;

use crate::close;

#[test]
fn an_example_by_hand() {
    // Shares 1/2, 1/2 -> 3/4, 1/4; traits 1, 3 -> 1, 4. Mean 2 -> 7/4.
    let found = price(&[1.0, 1.0], &[3.0, 1.0], &[1.0, 3.0], &[1.0, 4.0]).unwrap();
    assert_eq!((found.mean, found.change), (2.0, -0.25));
    // (1/4)(-1) + (-1/4)(1), and 1/4 of 1.
    assert_eq!((found.selection, found.transmission), (-0.5, 0.25));
    assert_eq!(found.identity_error(), 0.0);
    close(found.selection_share(), 2.0 / 3.0, 1e-15);
}

#[test]
fn it_is_prices_covariance() {
    // wbar Dz = Cov(w, z) + E(w Dz), over units of equal weight and fitness w.
    let mut draws = Draws::new(1, 0);
    let n = 50;
    let mut list = || (0..n).map(|_| draws.uniform()).collect::<Vec<f64>>();
    let (w, z, after) = (list(), list(), list());
    let mean = |of: &dyn Fn(usize) -> f64| (0..n).map(of).sum::<f64>() / n as f64;
    let (wbar, zbar) = (mean(&|k| w[k]), mean(&|k| z[k]));
    let covariance = mean(&|k| (w[k] - wbar) * (z[k] - zbar));
    let found = price(&vec![1.0; n], &w, &z, &after).unwrap();
    close(found.selection, covariance / wbar, 1e-14);
    close(found.transmission, mean(&|k| w[k] * (after[k] - z[k])) / wbar, 1e-14);
}

#[test]
fn groups_by_hand() {
    // Group 7: units 0 and 1; group 2: unit 2.
    let found = price_in_groups(
        &[1.0, 1.0, 2.0],
        &[2.0, 0.0, 6.0],
        &[1.0, 3.0, 4.0],
        &[1.0, 9.0, 5.0],
        &[7, 7, 2],
    )
    .unwrap();
    assert_eq!(found.groups.iter().map(|group| group.label).collect::<Vec<_>>(), [2, 7]);
    let [two, seven] = [found.groups[0], found.groups[1]];
    // zbar = 3; Z = 4 and 2; Q from 1/2, 1/2 to 3/4, 1/4.
    assert_eq!(
        (two.share, two.mean, two.between, two.within),
        ([0.5, 0.75], 4.0, 0.25, 0.0)
    );
    // Within: (1/4 - 1/8)(1 - 2) + (0 - 1/8)(3 - 2).
    assert_eq!(
        (seven.share, seven.mean, seven.between, seven.within),
        ([0.5, 0.25], 2.0, 0.25, -0.25)
    );
    assert_eq!((two.transmission, seven.transmission), (0.75, 0.0));
    assert_eq!((found.between, found.within), (0.5, -0.25));
    assert_eq!((found.total.selection, found.total.change), (0.25, 1.0));
    assert_eq!(found.identity_error(), 0.0);
}

#[test]
fn groups_that_appear_and_vanish() {
    // Group 1 has no weight before the step, group 2 none after it, group 3 none at all.
    let q = [1.0, 1.0, 0.0, 0.0, 2.0, 0.0];
    let after = [1.0, 2.0, 1.0, 3.0, 0.0, 0.0];
    let z = [1.0, 2.0, 5.0, 6.0, 4.0, f64::NAN];
    let z_after = [1.5, 2.0, 5.0, 7.0, f64::NAN, f64::INFINITY];
    // The unit that loses its weight still needs a trait after the step.
    assert!(
        price(&q, &after, &z, &z_after)
            .unwrap_err()
            .to_string()
            .contains("z_after[4]")
    );
    let z_after = [1.5, 2.0, 5.0, 7.0, 3.0, f64::INFINITY];
    let found = price_in_groups(&q, &after, &z, &z_after, &[0, 0, 1, 1, 2, 3]).unwrap();
    assert!(found.identity_error() < 1e-15);
    let [_, born, lost, empty] = [0, 1, 2, 3].map(|k| found.groups[k]);
    // It enters as composed after the step: (5 + 3*6)/4.
    close(born.mean, 5.75, 1e-15);
    assert_eq!((born.within, lost.within), (0.0, 0.0));
    assert!(lost.between < 0.0 || lost.mean < found.total.mean);
    assert!(empty.mean.is_nan());
    assert_eq!((empty.share, empty.between, empty.transmission), ([0.0, 0.0], 0.0, 0.0));
}

#[test]
fn weights_of_any_size() {
    let (z, after) = ([1.0, 2.0, 4.0], [2.0, 2.0, 5.0]);
    let plain = price(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], &z, &after).unwrap();
    let huge = price(&[1e308, 1.5e308, 1.7e308], &[1.0; 3], &z, &after).unwrap();
    assert!(huge.mean.is_finite() && huge.identity_error() < 1e-15);
    let scaled = price(&[1e-300, 2e-300, 3e-300], &[3e200, 2e200, 1e200], &z, &after).unwrap();
    close(scaled.selection, plain.selection, 1e-15);
    close(scaled.transmission, plain.transmission, 1e-15);
}

#[test]
fn nothing_happens() {
    let found = price(&[1.0, 2.0], &[2.0, 4.0], &[3.0, 5.0], &[3.0, 5.0]).unwrap();
    assert_eq!((found.change, found.selection, found.transmission), (0.0, 0.0, 0.0));
    assert_eq!(found.identity_error(), 0.0);
    assert!(found.selection_share().is_nan());
}

#[test]
fn what_is_no_population_is_refused() {
    let one = [1.0, 1.0];
    let says = |result: gmatrix::Result<_>, words: &str| {
        let error = result
            .map(|_: gmatrix::analysis::price::Price| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    };
    says(price(&one, &[1.0], &one, &one), "q_after has 1 values, expected 2");
    says(price(&one, &one, &one, &[1.0; 3]), "z_after has 3");
    says(price(&[1.0, -1.0], &one, &one, &one), "q[1] is -1");
    says(price(&one, &[f64::NAN, 1.0], &one, &one), "q_after[0] is NaN");
    says(price(&one, &[0.0, 0.0], &one, &one), "q_after has no weight");
    says(price(&one, &one, &[1.0, f64::INFINITY], &one), "z[1] is inf");
    let error = price_in_groups(&one, &one, &one, &one, &[1]).unwrap_err().to_string();
    assert!(error.contains("1 group labels for 2 units"), "{error}");
}

fn population() -> impl Strategy<Value = [Vec<f64>; 4]> {
    (1usize..60, any::<u64>(), -6.0..6.0f64).prop_map(|(n, seed, spread)| {
        let mut draws = Draws::new(seed, 0);
        // Weights over many decades, a quarter of them 0; traits far from 0.
        let mut weights = || -> Vec<f64> {
            let mut list: Vec<f64> = (0..n)
                .map(|_| {
                    if draws.uniform() < 0.25 {
                        0.0
                    } else {
                        (spread * draws.normal()).exp()
                    }
                })
                .collect();
            list[0] = 1.0;
            list
        };
        let (q, after) = (weights(), weights());
        let mut traits = || (0..n).map(|_| 1e4 + draws.normal()).collect::<Vec<f64>>();
        let (z, z_after) = (traits(), traits());
        [q, after, z, z_after]
    })
}

proptest! {
    #[test]
    fn the_identity_holds_to_rounding([q, after, z, z_after] in population(), groups in 1usize..7) {
        let labels: Vec<usize> = (0..q.len()).map(|k| k * k % groups).collect();
        let found = price_in_groups(&q, &after, &z, &z_after, &labels).unwrap();
        // Traits are 1e4 apart from 0 and 1 apart from each other: their differences carry 1e4 eps.
        prop_assert!(found.total.identity_error() < 1e-11, "{:?}", found.total);
        prop_assert!(found.identity_error() < 1e-11);
        let scale = found.between.abs() + found.within.abs() + 1.0;
        prop_assert!((found.between + found.within - found.total.selection).abs() < 1e-11 * scale);
        let transmission: f64 = found.groups.iter().map(|group| group.transmission).sum();
        prop_assert!((transmission - found.total.transmission).abs() < 1e-11 * scale);
        let shares: [f64; 2] = [0, 1].map(|side| found.groups.iter().map(|group| group.share[side]).sum());
        prop_assert!((shares[0] - 1.0).abs() < 1e-12 && (shares[1] - 1.0).abs() < 1e-12);
        prop_assert_eq!(found.total, price(&q, &after, &z, &z_after).unwrap());
        // One group has no selection between groups, each unit its own none within.
        let whole = price_in_groups(&q, &after, &z, &z_after, &vec![0; q.len()]).unwrap();
        prop_assert!(whole.between.abs() < 1e-11 * scale);
        let single: Vec<usize> = (0..q.len()).collect();
        let each = price_in_groups(&q, &after, &z, &z_after, &single).unwrap();
        prop_assert!(each.within.abs() < 1e-11 * scale);
    }
}
