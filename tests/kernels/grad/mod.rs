//! Gradients against central differences in f64: of kernel pairs, and of whole networks.

mod network;
mod pairs;

/// The slope at 0 of a function of one number, by central differences of fourth order.
fn slope<T>(step: f64, value: impl Fn(f64) -> Vec<T>) -> Vec<f64>
where
    T: Into<f64>,
{
    let at = |k: f64| -> Vec<f64> { value(k * step).into_iter().map(Into::into).collect() };
    let (one, back_one, two, back_two) = (at(1.0), at(-1.0), at(2.0), at(-2.0));
    (0..one.len())
        .map(|k| (8.0 * (one[k] - back_one[k]) - (two[k] - back_two[k])) / (12.0 * step))
        .collect()
}

/// Step of the differences of smooth functions: truncation and rounding both leave about 1e-12.
const STEP: f64 = 1e-3;

/// The same for networks, whose normalised residuals bend more.
const SMALL_STEP: f64 = 2e-4;

#[test]
fn slope_is_that_of_a_known_function() {
    let found = slope(STEP, |x| vec![(1.0 + x).exp(), (2.0 + x).ln()]);
    assert!((found[0] - std::f64::consts::E).abs() < 1e-11 && (found[1] - 0.5).abs() < 1e-11);
}
