//! Summaries, random numbers, and the bootstrap.

use gmatrix::analysis::bootstrap;
use gmatrix::analysis::draws::Draws;
use gmatrix::analysis::series::{
    detrended, even_step, mad, mean, measured, median, median_step, quantile, ranks, resampled, running_median,
    variance,
};

use crate::{all_close, close, normals, reference};

#[test]
fn summaries_match_numpy() {
    let [x, ..] = reference();
    // [quantile(x,q) for q in (0,.1,.25,.5,.9,1)], median(abs(x-median(x))), var(x,ddof=1)
    let expected = [
        -0.5869155581206493,
        -0.048345465572015245,
        0.6488278757822561,
        1.0003535236566585,
        2.4200818902831984,
        2.998543345374605,
    ];
    let found: Vec<f64> = [0.0, 0.1, 0.25, 0.5, 0.9, 1.0].map(|q| quantile(&x, q)).into();
    all_close(&found, &expected, 1e-14);
    close(median(&x), expected[3], 1e-14);
    close(mad(&x), 0.7223126922779168, 1e-14);
    close(variance(&x), 1.0188674053853986, 1e-14);
    // scipy.stats.rankdata(round(x))
    let rounded: Vec<f64> = x.iter().map(|x| x.round_ties_even()).collect();
    let expected = [
        3.5, 15.5, 15.5, 9.0, 3.5, 15.5, 19.5, 9.0, 9.0, 3.5, 15.5, 9.0, 15.5, 3.5, 9.0, 9.0, 19.5, 15.5, 1.0, 9.0,
    ];
    assert_eq!(ranks(&rounded), expected);
}

#[test]
fn summaries_of_little_or_nothing() {
    assert!(mean(&[]).is_nan() && median(&[]).is_nan() && mad(&[]).is_nan() && quantile(&[], 0.5).is_nan());
    assert!(variance(&[1.0]).is_nan() && median_step(&[1.0]).is_nan());
    assert!(ranks(&[]).is_empty() && resampled(&[], &[], 1.0).is_empty() && running_median(&[], &[], 3.0).is_empty());
    assert_eq!(median(&[3.0]), 3.0);
    assert_eq!(median(&[4.0, 1.0]), 2.5);
    assert_eq!(quantile(&[7.0], 0.3), 7.0);
}

#[test]
fn a_constant_is_its_own_mean() {
    // Ten times 0.1 sum to less than 1.
    assert_eq!(mean(&[0.1; 10]), 0.1);
    assert_eq!(variance(&[0.1; 10]), 0.0);
    close(mean(&[1.0, 2.0, 6.0]), 3.0, 0.0);
}

#[test]
fn what_was_not_measured_is_left_out() {
    let (times, values) = measured(&[3, 5, 8], &[1.0, f64::NAN, 2.0]);
    assert_eq!((times, values), (vec![3.0, 8.0], vec![1.0, 2.0]));
}

#[test]
fn the_running_median_is_the_median_of_its_window() {
    // Uneven times and values with ties, against a sort of every window.
    for (seed, width) in [(0, 0.0), (1, 3.0), (2, 10.0), (3, 1e9)] {
        let mut draws = Draws::new(1, seed);
        let mut time = 0.0;
        let times: Vec<f64> = (0..97)
            .map(|_| {
                time += 1.0 + draws.below(4) as f64;
                time
            })
            .collect();
        let values: Vec<f64> = (0..97).map(|_| draws.below(20) as f64).collect();
        let expected: Vec<f64> = times
            .iter()
            .map(|now| {
                let window = times.iter().zip(&values);
                let window: Vec<f64> = window
                    .filter(|(t, _)| (*t - now).abs() <= width / 2.0)
                    .map(|(_, x)| *x)
                    .collect();
                median(&window)
            })
            .collect();
        assert_eq!(running_median(&times, &values, width), expected);
        let flat: Vec<f64> = values.iter().zip(&expected).map(|(x, m)| x - m).collect();
        assert_eq!(detrended(&times, &values, width), flat);
    }
}

#[test]
#[should_panic(expected = "as many times as values")]
fn a_running_median_needs_as_many_times() {
    running_median(&[1.0, 2.0], &[1.0], 3.0);
}

#[test]
fn resampling_is_linear_between_neighbours() {
    assert_eq!(
        resampled(&[0.0, 2.0, 3.0, 7.0], &[0.0, 4.0, 5.0, 1.0], 1.0),
        [0.0, 2.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    );
    assert_eq!(resampled(&[5.0], &[2.0], 1.0), [2.0]);
}

#[test]
fn even_times_have_a_step() {
    let even: Vec<f64> = (0..1000).map(|k| 3.0 + 0.1 * k as f64).collect();
    close(even_step(&even).unwrap(), 0.1, 1e-12);
    let mut uneven = even;
    uneven[500] += 1e-6;
    assert_eq!(even_step(&uneven), None);
    assert_eq!(even_step(&[1.0]), None);
    assert_eq!(even_step(&[]), None);
    assert_eq!(median_step(&[0.0, 1.0, 2.0, 9.0, 10.0]), 1.0);
}

#[test]
fn draws_depend_on_seed_and_index_alone() {
    let take = |seed, index| {
        let mut draws = Draws::new(seed, index);
        [draws.uniform(), draws.normal(), draws.below(1000) as f64]
    };
    assert_eq!(take(1, 2), take(1, 2));
    assert_ne!(take(1, 2), take(1, 3));
    assert_ne!(take(1, 2), take(2, 2));
    // Uniforms do not move normals.
    let mut mixed = Draws::new(1, 2);
    let plain: Vec<f64> = {
        let mut draws = Draws::new(1, 2);
        (0..5).map(|_| draws.normal()).collect()
    };
    let found: Vec<f64> = (0..5)
        .map(|_| {
            mixed.uniform();
            mixed.normal()
        })
        .collect();
    assert_eq!(found, plain);
}

#[test]
fn draws_have_their_distributions() {
    let n = 20_000;
    let mut draws = Draws::new(5, 0);
    let uniform: Vec<f64> = (0..n).map(|_| draws.uniform()).collect();
    let normal: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
    // Four standard errors each.
    let error = 4.0 / (n as f64).sqrt();
    close(mean(&uniform), 0.5, error * (1.0f64 / 12.0).sqrt());
    close(variance(&uniform), 1.0 / 12.0, error * (1.0f64 / 180.0).sqrt());
    close(mean(&normal), 0.0, error);
    close(variance(&normal), 1.0, error * 2f64.sqrt());
    // Each of the six orders of three comes as often.
    let mut counts = [0u32; 27];
    for _ in 0..6000 {
        let order = draws.permutation(3);
        counts[order[0] + 3 * order[1] + 9 * order[2]] += 1;
    }
    let seen: Vec<f64> = counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c)).collect();
    assert_eq!(seen.len(), 6);
    let chi2: f64 = seen.iter().map(|c| (c - 1000.0).powi(2) / 1000.0).sum();
    assert!(
        chi2 < 20.5,
        "chi2 {chi2} of five degrees of freedom, 0.999 quantile 20.5"
    );
}

#[test]
fn the_bootstrap_covers_the_mean_as_often_as_it_says() {
    let trials = 300;
    let covered = (0..trials)
        .filter(|&seed| {
            let x = normals(seed, 60);
            let average = |chosen: &[usize]| chosen.iter().map(|&k| x[k]).sum::<f64>() / chosen.len() as f64;
            let (low, high) = bootstrap::interval(x.len(), average, 0.9, 400, u64::from(seed));
            low <= 0.0 && 0.0 <= high
        })
        .count() as f64
        / f64::from(trials);
    // The binomial standard error is 0.017; the percentile bootstrap of 60 values falls short of its level by about 0.01.
    assert!((0.83..0.95).contains(&covered), "{covered}");
}

#[test]
fn the_bootstrap_can_be_had_again_and_leaves_nan_out() {
    let x = normals(3, 20);
    let average = |chosen: &[usize]| chosen.iter().map(|&k| x[k]).sum::<f64>() / chosen.len() as f64;
    let first = bootstrap::interval(20, average, 0.95, 200, 7);
    assert_eq!(first, bootstrap::interval(20, average, 0.95, 200, 7));
    assert_ne!(first, bootstrap::interval(20, average, 0.95, 200, 8));
    let sometimes = |chosen: &[usize]| if chosen[0] < 10 { f64::NAN } else { 2.0 };
    assert_eq!(bootstrap::interval(20, sometimes, 0.95, 200, 7), (2.0, 2.0));
    let (low, high) = bootstrap::interval(20, |_| f64::NAN, 0.95, 200, 7);
    assert!(low.is_nan() && high.is_nan());
}
