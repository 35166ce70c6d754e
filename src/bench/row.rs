//! Rows: times, amounts of work, and what limits them.

use serde::Serialize;

use super::Rates;

/// A median and the quartiles around it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// Lower quartile.
    pub low: f64,
    /// Upper quartile.
    pub high: f64,
    /// How many were measured.
    pub samples: usize,
}

impl Spread {
    /// Of numbers in any order, at least one.
    pub(super) fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize];
        Self {
            median: at(0.5),
            low: at(0.25),
            high: at(0.75),
            samples: all.len(),
        }
    }
}

/// What limits a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Its arguments, at the rate of a copy.
    Bandwidth,
    /// Its operations, at the rate of a dense product.
    MatrixRate,
}

impl Limit {
    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::MatrixRate => "matrix rate",
        }
    }
}

/// How much work something is; none where no contract counts it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Work {
    pub bytes: Option<f64>,
    pub flops: Option<f64>,
}

/// One kernel of a plan in a step, or one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// `kernel/<preset>/<kernel>` or `task/<what>`.
    pub name: String,
    /// Launches that the time is about.
    pub calls: u64,
    /// Seconds of all of them.
    pub seconds: Spread,
    /// Bytes of the arguments, each read or written once.
    pub bytes: Option<f64>,
    /// Floating-point operations.
    pub flops: Option<f64>,
    /// Rate of the bytes, in units of 1e9 a second.
    pub gb_per_s: Option<f64>,
    /// Rate of the operations, in units of 1e9 a second.
    pub gflop_per_s: Option<f64>,
    /// What it is compared with.
    pub limit: Option<Limit>,
    /// The time it would take at its limit over the time it took.
    pub share: Option<f64>,
}

impl Row {
    pub(super) fn new(name: String, calls: u64, seconds: Spread, work: Work, rates: &Rates) -> Self {
        let rate = |amount: Option<f64>| amount.map(|x| x / seconds.median * 1e-9);
        let at_best = |amount: Option<f64>, best: f64| amount.map_or(0.0, |x| x * 1e-9 / best);
        let moving = at_best(work.bytes, rates.copy_gb_per_s.median);
        let computing = at_best(work.flops, rates.matrix_gflop_per_s.median);
        let least = moving.max(computing);
        let limit = if computing > moving {
            Limit::MatrixRate
        } else {
            Limit::Bandwidth
        };
        Self {
            name,
            calls,
            seconds,
            bytes: work.bytes,
            flops: work.flops,
            gb_per_s: rate(work.bytes),
            gflop_per_s: rate(work.flops),
            limit: (least > 0.0).then_some(limit),
            share: (least > 0.0).then_some(least / seconds.median),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(median: f64) -> Spread {
        Spread::of(vec![median])
    }

    #[test]
    fn a_row_is_limited_by_what_takes_longer_at_best() {
        let rates = Rates {
            copy_gb_per_s: exactly(10.0),
            matrix_gflop_per_s: exactly(100.0),
        };
        let row = |bytes: f64, flops: f64| {
            let work = Work {
                bytes: Some(bytes),
                flops: Some(flops),
            };
            let row = Row::new("r".into(), 1, exactly(2.0), work, &rates);
            (row.limit, row.share)
        };
        // 10 GB take 1 s to move, 50 GFLOP half a second.
        assert_eq!(row(10e9, 50e9), (Some(Limit::Bandwidth), Some(0.5)));
        assert_eq!(row(10e9, 150e9), (Some(Limit::MatrixRate), Some(0.75)));
        let nothing = Row::new("r".into(), 1, exactly(2.0), Work::default(), &rates);
        assert_eq!((nothing.limit, nothing.share), (None, None));
    }

    #[test]
    fn a_spread_is_median_and_quartiles() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
    }
}
