//! A logarithmic axis for values of both signs: linear within `unit` of zero, logarithmic beyond.

/// Decades that an axis shows at most.
const MOST_DECADES: i32 = 8;
/// Labelled decades on each side of zero.
const LABELS: i32 = 4;

/// The map of values to positions on the axis, sign(v) log10(1 + |v|/unit), with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedLog {
    /// Decimal exponent of the unit.
    least: i32,
    /// Decimal exponents of the greatest values on the negative and on the positive side, rounded down.
    greatest: [Option<i32>; 2],
}

impl SignedLog {
    /// An axis for these values. Its unit is the decade of their 5 % quantile of size, so that few of them lie in the
    /// linear part. `None` if no value differs from zero.
    pub fn fit(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.filter(|v| v.is_finite() && *v != 0.0).collect();
        let mut sizes: Vec<f64> = values.iter().map(|v| v.abs().log10()).collect();
        sizes.sort_by(f64::total_cmp);
        let end = sizes.last()?.ceil() as i32;
        let least = sizes[sizes.len() / 20].floor() as i32;
        let greatest = |is_positive: bool| {
            let side = values.iter().filter(|v| (**v > 0.0) == is_positive);
            side.map(|v| v.abs().log10().floor() as i32).max()
        };
        Some(Self {
            least: least.clamp(end - MOST_DECADES, end - 1),
            greatest: [greatest(false), greatest(true)],
        })
    }

    /// Where a value lies on the axis.
    pub fn position(&self, value: f64) -> f64 {
        (value.abs() / 10f64.powi(self.least)).ln_1p() / std::f64::consts::LN_10 * value.signum()
    }

    /// Positions and labels of the ticks, from the least.
    pub fn ticks(&self) -> (Vec<f64>, Vec<String>) {
        let [negative, positive] = self.greatest.map(|greatest| self.labelled(greatest));
        let at = |sign: f64, exponent: i32| {
            let minus = if sign < 0.0 { "\u{2212}" } else { "" };
            let position = self.position(sign * 10f64.powi(exponent));
            (position, format!("{minus}{}", power_of_ten(exponent)))
        };
        let negative = negative.into_iter().map(|exponent| at(-1.0, exponent));
        let positive = positive.into_iter().rev().map(|exponent| at(1.0, exponent));
        negative.chain([(0.0, "0".to_owned())]).chain(positive).unzip()
    }

    /// The decades with a label on a side, from the greatest. The unit itself lies so near to zero that it has one only
    /// where there is no other.
    fn labelled(&self, greatest: Option<i32>) -> Vec<i32> {
        let Some(end) = self.greatest.into_iter().flatten().max() else {
            return Vec::new();
        };
        let stride = (end - self.least + LABELS - 1) / LABELS;
        match greatest {
            Some(greatest) if greatest > self.least => {
                // Both sides label the same decades.
                let decades = (self.least + 1..=end).rev().step_by(stride.max(1) as usize);
                decades.filter(|decade| *decade <= greatest).collect()
            }
            Some(greatest) if greatest == self.least => vec![greatest],
            _ => Vec::new(),
        }
    }
}

/// 10^k as plotly typesets it.
fn power_of_ten(exponent: i32) -> String {
    match exponent {
        0 => "1".to_owned(),
        1 => "10".to_owned(),
        k if k < 0 => format!("10<sup>\u{2212}{}</sup>", -k),
        k => format!("10<sup>{k}</sup>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_odd_increasing_and_logarithmic_beyond_the_unit() {
        let axis = SignedLog::fit([1e-6, -3e-4, 0.2, 0.0, f64::NAN].into_iter()).unwrap();
        assert_eq!(axis.position(0.0), 0.0);
        assert_eq!(axis.position(-0.2), -axis.position(0.2));
        assert!((axis.position(1.0) - axis.position(0.1) - 1.0).abs() < 1e-4);
        assert!(axis.position(2e-6) > axis.position(1e-6));
    }

    #[test]
    fn ticks_increase_and_cover_the_signs_present() {
        let axis = SignedLog::fit([1e-6, -3e-4, 0.2].into_iter()).unwrap();
        let (positions, labels) = axis.ticks();
        assert!(positions.is_sorted());
        assert_eq!(positions.len(), labels.len());
        assert_eq!(labels.first().unwrap(), "\u{2212}10<sup>\u{2212}5</sup>");
        assert!(labels.contains(&"0".to_owned()));
        assert_eq!(labels.last().unwrap(), "10<sup>\u{2212}1</sup>");
        // A side that ends in the unit's own decade is labelled there.
        let (_, labels) = SignedLog::fit([-1.5, 200.0, 300.0].into_iter()).unwrap().ticks();
        assert_eq!(labels, ["\u{2212}1", "0", "10", "10<sup>2</sup>"]);
        let (positions, _) = SignedLog::fit([2.0, 3.0].into_iter()).unwrap().ticks();
        assert!(positions.iter().all(|p| *p >= 0.0));
    }

    #[test]
    fn nothing_but_zeros_has_no_axis() {
        assert_eq!(SignedLog::fit([0.0, f64::NAN].into_iter()), None);
    }
}
