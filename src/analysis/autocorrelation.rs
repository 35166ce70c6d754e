//! Autocorrelation of evenly spaced values, by FFT.

use realfft::RealFftPlanner;

use super::series::mean;

/// r_k = sum_{i < n-k} x_i x_{i+k} / sum x_i^2 for k = 0..=`lags`, x less its mean: the biased estimate, which never
/// exceeds 1. All NaN for a constant series.
pub fn autocorrelation(values: &[f64], lags: usize) -> Vec<f64> {
    let n = values.len();
    let lags = lags.min(n.saturating_sub(1));
    if n == 0 {
        return Vec::new();
    }
    let centre = mean(values);
    // Twice as long, so that the ends do not meet.
    let length = (2 * n).next_power_of_two();
    let mut padded: Vec<f64> = values.iter().map(|x| x - centre).collect();
    padded.resize(length, 0.0);
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(length);
    let inverse = planner.plan_fft_inverse(length);
    let mut spectrum = forward.make_output_vec();
    let mut products = inverse.make_output_vec();
    let done = forward.process(&mut padded, &mut spectrum).and_then(|()| {
        for z in &mut spectrum {
            *z = realfft::num_complex::Complex::new(z.norm_sqr(), 0.0);
        }
        inverse.process(&mut spectrum, &mut products)
    });
    if done.is_err() {
        unreachable!("all vectors have the transforms' lengths");
    }
    let total = products[0];
    products[..=lags].iter().map(|x| x / total).collect()
}

/// The highest local maximum of the autocorrelation at a lag from `low` to `high`: lag and value.
pub fn peak(autocorrelation: &[f64], low: usize, high: usize) -> Option<(usize, f64)> {
    let last = high.min(autocorrelation.len().checked_sub(2)?);
    (low.max(1)..=last)
        .filter(|&k| autocorrelation[k] >= autocorrelation[k - 1] && autocorrelation[k] >= autocorrelation[k + 1])
        .map(|k| (k, autocorrelation[k]))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}
