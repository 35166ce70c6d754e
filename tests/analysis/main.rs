//! Analysis of series: known answers, exact identities, reference values from NumPy 2.4 and SciPy 1.17, and how often
//! each test of significance gives a false alarm.

mod correlation;
mod models;
mod period;
mod population;
mod runs;
mod series;
mod spectra;
mod survival;

use gmatrix::analysis::draws::Draws;

/// Fails unless `found` is within `tolerance` of `expected`, relative above 1 and absolute below.
#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1.0),
        "found {found}, expected {expected}"
    );
}

/// `close` for slices.
#[track_caller]
fn all_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        close(*found, *expected, tolerance);
    }
}

/// x, y and z of the reference values, in NumPy with i = arange(20):
/// `x=sin(1.3*i)+(i*i*7%11)/5; y=cos(0.7*i)+(i*5%7)/4+0.3*x; z=0.4*x+(i*3%13)/6`
fn reference() -> [Vec<f64>; 3] {
    let of = |value: fn(f64, usize) -> f64| (0..20).map(|i| value(i as f64, i)).collect::<Vec<f64>>();
    let x = of(|t, i| (1.3 * t).sin() + (i * i * 7 % 11) as f64 / 5.0);
    let mut y = of(|t, i| (0.7 * t).cos() + (i * 5 % 7) as f64 / 4.0);
    let mut z = of(|_, i| (i * 3 % 13) as f64 / 6.0);
    for i in 0..20 {
        y[i] += 0.3 * x[i];
        z[i] += 0.4 * x[i];
    }
    [x, y, z]
}

/// Normal numbers of one seed.
fn normals(seed: u32, n: usize) -> Vec<f64> {
    let mut draws = Draws::new(4711, seed);
    (0..n).map(|_| draws.normal()).collect()
}

/// Most false alarms in `trials` at a true rate: the binomial mean and three standard deviations.
fn most(trials: usize, rate: f64) -> usize {
    let n = trials as f64;
    (n * rate + 3.0 * (n * rate * (1.0 - rate)).sqrt()).floor() as usize
}
