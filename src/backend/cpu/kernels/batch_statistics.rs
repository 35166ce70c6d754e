//! batch_statistics — norms, coherence and noise of the step's batch.
//!
//! in 0 norm [N], as scaled   in 1 exponent [N]   inout 2 scalars, with |mean g|^2   params n
//! order: samples ascending, in f64
//!
//! With S = sum |g_i|^2 and Q = |sum g_i|^2: coherence = Q/(n S), coherence_unbiased = (n coherence - 1)/(n - 1),
//! noise_g2 = (Q - S)/(n (n - 1)), noise_trace = (S - Q/n)/(n - 1) (McCandlish et al. 1812.06162, batch of 1).

use super::support::unscale;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::{MEAN_SQUARE, RATES};
use crate::stats::columns;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [samples] = args.params();
    let n = samples as f64;
    let (mut sum, mut square) = (0.0, 0.0);
    let (mut smallest, mut largest) = (f64::INFINITY, 0.0_f64);
    let (mut logs, mut log_squares, mut alive) = (0.0, 0.0, 0.0);
    // Logarithms about that of the first non-zero norm, so that their variance does not cancel.
    let mut centre = None;
    for (scaled, exponent) in args.wide("norm").iter().zip(args.word("exponent")) {
        let root = scaled.max(0.0).sqrt();
        let norm = root * unscale::<f64>(*exponent);
        sum += norm;
        square += norm * norm;
        smallest = smallest.min(norm);
        largest = largest.max(norm);
        if root > 0.0 {
            let log = root.ln() - f64::from(exponent.cast_signed()) * std::f64::consts::LN_2;
            let log = log - *centre.get_or_insert(log);
            logs += log;
            log_squares += log * log;
            alive += 1.0;
        }
    }
    let scalars = args.wide_mut("scalars");
    let mean_square = scalars[MEAN_SQUARE];
    let row = &mut scalars[RATES..];
    row[columns::N_BATCH] = n;
    row[columns::ZERO_GRADIENTS] = n - alive;
    row[columns::NORM_MEAN] = sum / n;
    row[columns::NORM_MIN] = smallest;
    row[columns::NORM_MAX] = largest;
    // Null stays null: `max` would turn NaN into 0.
    let log_sd = (log_squares / alive - (logs / alive).powi(2)).max(0.0).sqrt();
    row[columns::NORM_LOG_SD] = if alive > 0.0 { log_sd } else { f64::NAN };
    let total = mean_square * n * n;
    let alpha = total / (n * square);
    row[columns::COHERENCE] = alpha;
    // One sample says nothing about the spread; rounding would make it infinite.
    let others = if samples > 1 { n - 1.0 } else { f64::NAN };
    row[columns::COHERENCE_UNBIASED] = (n * alpha - 1.0) / others;
    row[columns::NOISE_TRACE] = (square - total / n) / others;
    row[columns::NOISE_G2] = (total - square) / (n * others);
}
