//! The gradient noise scale tr(Sigma)/|G|^2, formed from averages.
//!
//! A step gives an unbiased estimate of the numerator (`noise_trace`) and one of the denominator (`noise_g2`), and the
//! ratio of two noisy numbers is neither unbiased nor, where the denominator is near 0, finite. So both are averaged
//! over a window of rows first, and the error of their ratio is the jackknife's: the ratio is formed anew without each
//! of [`BLOCKS`] blocks of neighbouring rows in turn. Neighbours are left out together because they are alike. The
//! jackknife works on the logarithm, so that the band around a ratio never reaches below 0.

/// Blocks of neighbouring rows in a window.
pub const BLOCKS: usize = 5;

/// The ratio of two averages over a window of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowRatio {
    /// First step of the window.
    pub first: u64,
    /// Last step of the window.
    pub last: u64,
    /// The ratio; none where the average denominator, or one of those with a block left out, is not positive: the
    /// rows do not tell the denominator from 0.
    pub ratio: Option<Ratio>,
}

/// A positive ratio with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Average numerator over average denominator.
    pub value: f64,
    /// Jackknife standard error of its natural logarithm.
    pub ln_error: f64,
}

impl Ratio {
    /// The value a standard error below, and the one a standard error above.
    pub fn band(&self) -> (f64, f64) {
        let factor = self.ln_error.exp();
        (self.value / factor, self.value * factor)
    }
}

/// Ratios of averages over consecutive windows of `rows` rows in which both series are measured. The rows left over at
/// the end make no window.
///
/// # Panics
/// If `rows` is not a positive multiple of [`BLOCKS`].
#[track_caller]
pub fn windows(steps: &[u64], numerator: &[f64], denominator: &[f64], rows: usize) -> Vec<WindowRatio> {
    assert!(
        rows > 0 && rows.is_multiple_of(BLOCKS),
        "{rows} rows do not make {BLOCKS} blocks"
    );
    let measured: Vec<(u64, [f64; 2])> = steps
        .iter()
        .zip(numerator.iter().zip(denominator))
        .filter(|(_, (n, d))| n.is_finite() && d.is_finite())
        .map(|(step, (n, d))| (*step, [*n, *d]))
        .collect();
    measured
        .chunks_exact(rows)
        .map(|window| WindowRatio {
            first: window[0].0,
            last: window[rows - 1].0,
            ratio: ratio(window),
        })
        .collect()
}

fn ratio(window: &[(u64, [f64; 2])]) -> Option<Ratio> {
    let sum = |rows: &[(u64, [f64; 2])]| {
        rows.iter()
            .fold([0.0, 0.0], |[n, d], (_, row)| [n + row[0], d + row[1]])
    };
    let ln_ratio = |[n, d]: [f64; 2]| (n > 0.0 && d > 0.0).then(|| (n / d).ln());
    let whole = sum(window);
    let without: Vec<f64> = window
        .chunks_exact(window.len() / BLOCKS)
        .map(sum)
        .map(|block| ln_ratio([whole[0] - block[0], whole[1] - block[1]]))
        .collect::<Option<_>>()?;
    let blocks = without.len() as f64;
    let mean = without.iter().sum::<f64>() / blocks;
    let spread: f64 = without.iter().map(|x| (x - mean).powi(2)).sum();
    Some(Ratio {
        value: ln_ratio(whole)?.exp(),
        ln_error: (spread * (blocks - 1.0) / blocks).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uniform numbers in [0, 1): a linear congruential generator is random enough here.
    fn uniform(state: &mut u64) -> f64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn a_constant_ratio_has_no_error() {
        let steps: Vec<u64> = (0..45).collect();
        let found = windows(&steps, &[6.0; 45], &[2.0; 45], 20);
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].first, found[1].last), (20, 39));
        let ratio = found[0].ratio.unwrap();
        assert!((ratio.value - 3.0).abs() < 1e-12 && ratio.ln_error < 1e-12);
        assert!((ratio.band().0 - 3.0).abs() < 1e-12);
    }

    #[test]
    fn averages_come_before_the_ratio() {
        // Ratios row by row are 1 and 1/3, whose mean is 2/3; the ratio of the averages is 1/2.
        let steps: Vec<u64> = (0..20).collect();
        let denominator: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 1.0 } else { 3.0 }).collect();
        let found = windows(&steps, &[1.0; 20], &denominator, 20);
        assert!((found[0].ratio.unwrap().value - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_denominator_that_may_be_zero_has_no_ratio() {
        let steps: Vec<u64> = (0..20).collect();
        assert_eq!(windows(&steps, &[1.0; 20], &[-1.0; 20], 20)[0].ratio, None);
        // Positive on average, but only because of its last block.
        let mut denominator = [-0.1; 20];
        denominator[16..].fill(1.0);
        assert_eq!(windows(&steps, &[1.0; 20], &denominator, 20)[0].ratio, None);
    }

    #[test]
    fn rows_that_lack_a_value_are_left_out() {
        let steps: Vec<u64> = (0..40).collect();
        let denominator: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 2.0 } else { f64::NAN }).collect();
        let found = windows(&steps, &[1.0; 40], &denominator, 20);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].first, found[0].last), (0, 38));
        assert!(windows(&steps, &[f64::NAN; 40], &denominator, 20).is_empty());
    }

    #[test]
    fn the_error_is_as_large_as_the_scatter_between_windows() {
        let mut state = 1;
        let count = 20 * 400;
        let steps: Vec<u64> = (0..count).collect();
        let numerator: Vec<f64> = steps.iter().map(|_| 0.5 + uniform(&mut state)).collect();
        let denominator: Vec<f64> = steps.iter().map(|_| 0.5 + uniform(&mut state)).collect();
        let ratios: Vec<Ratio> = windows(&steps, &numerator, &denominator, 20)
            .iter()
            .filter_map(|window| window.ratio)
            .collect();
        let n = ratios.len() as f64;
        let mean = ratios.iter().map(|r| r.value.ln()).sum::<f64>() / n;
        let scatter = (ratios.iter().map(|r| (r.value.ln() - mean).powi(2)).sum::<f64>() / n).sqrt();
        let error = (ratios.iter().map(|r| r.ln_error.powi(2)).sum::<f64>() / n).sqrt();
        assert!((error / scatter - 1.0).abs() < 0.2, "error {error}, scatter {scatter}");
    }
}
