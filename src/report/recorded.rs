//! The rows of one run as series that can be drawn: which nulls are gaps, and how many points a line has.

use std::collections::BTreeMap;

use crate::record::MetricsTable;

/// Most points of one line; a longer one keeps the least and the greatest value of each bucket of rows.
pub const MOST_POINTS: usize = 20_000;

/// The rows of the first run in a table, as a view.
pub struct Recorded<'a> {
    /// Step of every row, increasing.
    pub steps: &'a [u64],
    columns: BTreeMap<&'a str, &'a [f64]>,
    /// Rows at which a family of columns was measured.
    measured_rows: BTreeMap<&'a str, Vec<usize>>,
}

/// A series to draw. `None` is a gap.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Steps, increasing.
    pub steps: Vec<u64>,
    /// A value for each.
    pub values: Vec<Option<f64>>,
}

impl<'a> Recorded<'a> {
    /// The first run of the table, whose rows are sorted by run and then by step.
    pub fn new(table: &'a MetricsTable) -> Self {
        let rows = table.runs.iter().take_while(|run| **run == table.runs[0]).count();
        let columns: BTreeMap<&str, &[f64]> = table
            .columns
            .iter()
            .map(|(name, values)| (name.as_str(), &values[..rows]))
            .filter(|(_, values)| values.iter().any(|v| !v.is_nan()))
            .collect();
        let mut is_measured: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for (name, values) in &columns {
            let flags = is_measured.entry(family(name)).or_insert_with(|| vec![false; rows]);
            flags.iter_mut().zip(*values).for_each(|(flag, v)| *flag |= !v.is_nan());
        }
        let measured_rows = is_measured
            .into_iter()
            .map(|(family, flags)| (family, (0..rows).filter(|&row| flags[row]).collect()))
            .collect();
        Self {
            steps: &table.steps[..rows],
            columns,
            measured_rows,
        }
    }

    /// A column with at least one value.
    pub fn column(&self, name: &str) -> Option<&'a [f64]> {
        self.columns.get(name).copied()
    }

    /// Names of all columns with at least one value.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.columns.keys().copied()
    }

    /// What follows `prefix` in the names of the columns that begin with it.
    pub fn suffixes(&self, prefix: String) -> impl Iterator<Item = &'a str> {
        self.names().filter_map(move |name| name.strip_prefix(prefix.as_str()))
    }

    /// The last value of a column measured at or before a step.
    pub fn latest(&self, name: &str, step: u64) -> Option<f64> {
        let end = self.steps.partition_point(|s| *s <= step);
        self.column(name)?[..end].iter().rev().copied().find(|v| !v.is_nan())
    }

    /// The last step with a row.
    pub fn last_step(&self) -> Option<u64> {
        self.steps.last().copied()
    }

    /// A column as a line over the rows at which its family was measured; a value missing there is a gap.
    pub fn line(&self, name: &str) -> Option<Line> {
        let values = self.column(name)?;
        let rows = self.measured_rows.get(family(name))?;
        Some(Line {
            steps: rows.iter().map(|&row| self.steps[row]).collect(),
            values: rows.iter().map(|&row| finite(values[row])).collect(),
        })
    }

    /// Infinite values in a column: they are gaps in its line.
    pub fn infinities(&self, name: &str) -> usize {
        self.column(name)
            .map_or(0, |values| values.iter().filter(|v| v.is_infinite()).count())
    }
}

impl Line {
    /// At most [`MOST_POINTS`] points: of each bucket of rows the first gap, the least and the greatest value.
    pub fn thinned(&self) -> Self {
        if self.steps.len() <= MOST_POINTS {
            return self.clone();
        }
        let bucket = self.steps.len().div_ceil(MOST_POINTS / 3);
        let mut thinned = Self::default();
        for start in (0..self.steps.len()).step_by(bucket) {
            let rows = start..(start + bucket).min(self.steps.len());
            let by_value = |a: &usize, b: &usize| self.values[*a].partial_cmp(&self.values[*b]).expect("no NaN");
            let present = || rows.clone().filter(|&row| self.values[row].is_some());
            let gap = rows.clone().find(|&row| self.values[row].is_none());
            let mut kept: Vec<usize> = [gap, present().min_by(by_value), present().max_by(by_value)]
                .into_iter()
                .flatten()
                .collect();
            kept.sort_unstable();
            kept.dedup();
            thinned.steps.extend(kept.iter().map(|&row| self.steps[row]));
            thinned.values.extend(kept.iter().map(|&row| self.values[row]));
        }
        thinned
    }
}

/// Columns that are measured together, at the same rows. Where one of them has a value and another has none, the other
/// has a gap; where none has one, nothing was due.
fn family(column: &str) -> &str {
    match column {
        "train_loss" | "test_loss" | "train_accuracy" | "test_accuracy" => "evaluation",
        "mean_cosine" | "min_cosine" | "negative_fraction" => "gram",
        _ => match column.split_once('.').map(|(first, _)| first) {
            Some("raw" | "cosine" | "centred") => "gram",
            Some(
                "value" | "ntcov" | "predicted" | "measured" | "selection" | "lagged" | "noise" | "decay"
                | "decay_lagged" | "second",
            ) => "decomposition",
            Some(other) => other,
            None => "step",
        },
    }
}

/// A value to draw, to the seven digits that single precision has.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then(|| round(value))
}

/// Rounds to seven significant digits: what is drawn needs no more, and the page is half as large.
pub fn round(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &[f64])]) -> MetricsTable {
        let rows = columns[0].1.len();
        MetricsTable {
            steps: (0..rows as u64).collect(),
            runs: vec![3; rows],
            columns: columns
                .iter()
                .map(|(name, values)| ((*name).to_owned(), values.to_vec()))
                .collect(),
        }
    }

    #[test]
    fn a_null_is_a_gap_only_where_its_family_was_measured() {
        const N: f64 = f64::NAN;
        let table = table(&[
            ("raw.rank", &[1.0, N, 3.0, N, 5.0]),
            ("mean_cosine", &[1.0, N, N, N, 5.0]),
            ("batch_loss", &[1.0, 2.0, 3.0, 4.0, f64::INFINITY]),
            ("weight_norm", &[N, N, N, N, N]),
        ]);
        let recorded = Recorded::new(&table);
        let line = recorded.line("mean_cosine").unwrap();
        assert_eq!(line.steps, [0, 2, 4]);
        assert_eq!(line.values, [Some(1.0), None, Some(5.0)]);
        assert_eq!(recorded.line("batch_loss").unwrap().values[4], None);
        assert_eq!(recorded.infinities("batch_loss"), 1);
        assert_eq!(recorded.line("weight_norm"), None);
        assert_eq!(recorded.latest("raw.rank", 3), Some(3.0));
        assert_eq!(recorded.latest("raw.rank", 4), Some(5.0));
    }

    #[test]
    fn only_the_first_run_is_drawn() {
        let mut table = table(&[("batch_loss", &[1.0, 2.0, 3.0, 4.0])]);
        table.runs[2..].fill(4);
        assert_eq!(Recorded::new(&table).steps, [0, 1]);
        assert!(Recorded::new(&MetricsTable::default()).steps.is_empty());
    }

    #[test]
    fn thinning_keeps_extremes_and_gaps() {
        let rows = 100_000;
        let mut values: Vec<Option<f64>> = (0..rows).map(|i| Some((i % 7) as f64)).collect();
        values[54_321] = Some(99.0);
        values[77_777] = Some(-99.0);
        values[33_333] = None;
        let line = Line {
            steps: (0..rows as u64).collect(),
            values,
        };
        let thinned = line.thinned();
        assert!(thinned.steps.len() <= MOST_POINTS && thinned.steps.len() > MOST_POINTS / 2);
        assert!(thinned.steps.is_sorted());
        for (step, value) in [(54_321, Some(99.0)), (77_777, Some(-99.0)), (33_333, None)] {
            let at = thinned.steps.binary_search(&step).unwrap();
            assert_eq!(thinned.values[at], value);
        }
    }

    #[test]
    fn short_lines_are_left_alone() {
        let line = Line {
            steps: vec![1, 2],
            values: vec![Some(1.0), None],
        };
        assert_eq!(line.thinned(), line);
    }

    #[test]
    fn rounding_keeps_seven_digits() {
        assert_eq!(round(1.0 / 3.0), 0.333_333_3);
        assert_eq!(round(-1.234_567_89e-200), -1.234_568e-200);
        assert_eq!(round(0.0), 0.0);
    }
}
