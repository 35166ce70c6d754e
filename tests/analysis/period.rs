//! The search for a period: what it finds, what it does not, and how often it is wrong.

use std::f64::consts::TAU;

use gmatrix::analysis::draws::Draws;
use gmatrix::analysis::period::{LEAST, Search, find};
use gmatrix::analysis::red_noise::RedNoise;

use crate::{close, most, normals};

fn search(simulations: u32, resamples: u32) -> Search {
    Search {
        simulations,
        resamples,
        ..Search::default()
    }
}

fn even(n: usize) -> Vec<f64> {
    (0..n).map(|k| k as f64).collect()
}

/// Times of which `keep` are kept.
fn thinned(n: usize, keep: f64, seed: u32) -> Vec<f64> {
    let mut draws = Draws::new(8, seed);
    even(n).into_iter().filter(|_| draws.uniform() < keep).collect()
}

fn sine(times: &[f64], period: f64, noise: f64, seed: u32) -> Vec<f64> {
    let noises = normals(seed, times.len());
    times
        .iter()
        .zip(noises)
        .map(|(t, e)| (TAU * t / period).sin() + noise * e)
        .collect()
}

#[test]
fn a_period_is_found() {
    let times = even(400);
    let found = find(&times, &sine(&times, 23.0, 0.5, 1), &search(199, 100)).unwrap();
    assert!(found.significant, "{found:?}");
    assert_eq!(found.false_alarm, 0.005);
    close(found.period / 23.0, 1.0, 0.01);
    assert!(found.interval.0 <= 23.0 && 23.0 <= found.interval.1, "{found:?}");
    assert!(found.interval.1 - found.interval.0 < 0.5, "{found:?}");
    let (lag, r) = found.autocorrelation.unwrap();
    close(lag, 23.0, 0.05);
    assert!(r > 0.4);
    close(found.detrended_over, 5.0 * 23.0, 0.05);
    assert!(found.power > 0.5 && found.ratio > 10.0);
}

#[test]
fn a_period_is_found_under_a_trend_and_through_gaps() {
    let times = thinned(500, 0.6, 0);
    let values: Vec<f64> = times
        .iter()
        .zip(sine(&times, 23.0, 0.5, 2))
        .map(|(t, x)| x + 40.0 * (-t / 150.0).exp())
        .collect();
    let found = find(&times, &values, &search(199, 0)).unwrap();
    assert!(found.significant, "{found:?}");
    close(found.period / 23.0, 1.0, 0.02);
    assert!(found.interval.0.is_nan());
    // A fall and nothing else has none.
    let fall: Vec<f64> = times
        .iter()
        .zip(normals(3, times.len()))
        .map(|(t, e)| 40.0 * (-t / 150.0).exp() + 0.5 * e)
        .collect();
    assert!(!find(&times, &fall, &search(199, 0)).unwrap().significant);
}

#[test]
fn a_sawtooth_has_the_period_of_its_teeth() {
    let times = even(600);
    let noises = normals(4, 600);
    let values: Vec<f64> = times
        .iter()
        .zip(noises)
        .map(|(t, e)| (t / 40.0).fract() + 0.1 * e)
        .collect();
    let found = find(&times, &values, &search(199, 0)).unwrap();
    assert!(found.significant);
    close(found.period / 40.0, 1.0, 0.01);
}

#[test]
fn a_search_can_be_had_again() {
    let times = even(128);
    let values = sine(&times, 11.0, 2.0, 5);
    let once = find(&times, &values, &search(99, 50)).unwrap();
    assert_eq!(once, find(&times, &values, &search(99, 50)).unwrap());
    let other = Search {
        seed: 1,
        ..search(99, 50)
    };
    assert_ne!(once.interval, find(&times, &values, &other).unwrap().interval);
}

#[test]
fn limits_on_the_period_are_kept() {
    let times = even(300);
    let values = sine(&times, 20.0, 0.3, 6);
    let found = find(
        &times,
        &values,
        &Search {
            shortest: Some(25.0),
            longest: Some(60.0),
            ..search(99, 0)
        },
    )
    .unwrap();
    assert!((24.0..61.0).contains(&found.period), "{found:?}");
}

/// How many series of red noise come out with a false-alarm probability of at most 0.05, and how many are called periodic.
///
/// With B simulations the probability is (1 + b)/(1 + B), which is exact at all its multiples of 1/(1 + B) if the null is
/// known: few simulations test the rate as well as many.
fn alarms(trials: u32, tau: f64, keep: f64, simulations: u32) -> (usize, usize) {
    let found: Vec<(bool, bool)> = (0..trials)
        .map(|seed| {
            let times = if keep < 1.0 { thinned(160, keep, seed) } else { even(96) };
            // A stream that the search does not use itself.
            let series = RedNoise { tau, sd: 1.0 }.draw(&times, &mut Draws::new(99, seed));
            let found = find(&times, &series, &search(simulations, 0)).unwrap();
            (found.false_alarm <= 0.05, found.significant)
        })
        .collect();
    let count = |of: fn(&(bool, bool)) -> bool| found.iter().filter(|found| of(found)).count();
    (count(|found| found.0), count(|found| found.1))
}

#[test]
fn red_noise_alarms_no_more_often_than_stated() {
    let trials = 200;
    for (tau, keep) in [(0.0, 1.0), (3.0, 1.0), (15.0, 1.0), (5.0, 0.5)] {
        let (alarms, _) = alarms(trials, tau, keep, 39);
        println!("tau {tau}, {keep} of the times: {alarms} of {trials} at 0.05");
        assert!(
            alarms <= most(trials as usize, 0.05),
            "tau {tau}: {alarms} of {trials} at 0.05"
        );
        // Nor is the probability never small.
        assert!(alarms > 0);
    }
}

#[test]
fn red_noise_is_called_periodic_no_more_often_than_stated() {
    let trials = 300;
    let (alarms, significant) = alarms(trials, 6.0, 1.0, 100);
    println!("{alarms} at 0.05, {significant} significant, of {trials}");
    assert!(alarms <= most(trials as usize, 0.05), "{alarms}");
    assert!(significant <= most(trials as usize, 0.01), "{significant}");
}

#[test]
fn white_noise_as_the_null_would_call_red_noise_periodic() {
    // Baluev's and other white-noise formulas give 1 - (1 - exp(-z))^m for the highest of m ordinates: what the search
    // against red noise is for.
    let times = even(128);
    let wrong = (0..50)
        .filter(|&seed| {
            let series = RedNoise { tau: 15.0, sd: 1.0 }.draw(&times, &mut Draws::new(99, seed));
            let found = find(&times, &series, &search(1, 0)).unwrap();
            let z = found.power * 64.0;
            1.0 - (1.0 - (-z).exp()).powi(64) < 0.01
        })
        .count();
    assert!(wrong > 20, "{wrong} of 50");
}

#[test]
fn the_interval_holds_the_period() {
    let trials = 100;
    let times = even(200);
    let covered = (0..trials)
        .filter(|&seed| {
            let found = find(&times, &sine(&times, 17.3, 1.0, 100 + seed), &search(1, 200)).unwrap();
            found.interval.0 <= 17.3 && 17.3 <= found.interval.1
        })
        .count();
    println!("{covered} of {trials}");
    // At a signal as strong as the noise the interval is too narrow, since the fit takes the residuals' power at the period
    // away: 85 of 100 were covered when this was written, for a nominal 95 %. docs/analysis.md says so.
    assert!((75..=99).contains(&covered), "{covered} of {trials}");
}

#[test]
fn a_constant_has_no_period() {
    let found = find(&even(64), &[0.1; 64], &search(19, 10)).unwrap();
    assert_eq!((found.false_alarm, found.ratio), (1.0, 0.0));
    assert!(!found.significant && found.autocorrelation.is_none());
}

#[test]
fn what_is_no_series_is_refused() {
    let times = even(64);
    let values = normals(0, 64);
    let says = |times: &[f64], values: &[f64], search: &Search, words: &str| {
        let error = find(times, values, search).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let any = search(9, 0);
    says(&times, &values[..63], &any, "64 times for 63 values");
    says(&times[..LEAST - 1], &values[..LEAST - 1], &any, "expected at least 32");
    let mut broken = values.clone();
    broken[7] = f64::INFINITY;
    says(&times, &broken, &any, "finite");
    let mut unordered = times.clone();
    unordered.swap(3, 4);
    says(&unordered, &values, &any, "increase");
    let limits = |shortest, longest| Search {
        shortest,
        longest,
        ..any
    };
    says(&times, &values, &limits(Some(20.0), Some(10.0)), "no period between 20");
    says(
        &times,
        &values,
        &limits(Some(20.0), Some(20.5)),
        "fewer than three frequencies",
    );
}
