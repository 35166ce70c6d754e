//! Sums over samples and parameters, all kept in wide numbers.

use gmatrix::plan::{BLOCK, Kernel};

use super::ODD;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{normal, poison, words_below};
use crate::numbers::{Real, sum};

struct LossMean;

impl Oracle for LossMean {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [_, total] = x.params();
        let total = T::new(total as f64);
        let hits = sum(x.words("hit").iter().map(|hit| T::new(f64::from(*hit))));
        let mut out = vec![sum(x.real::<T>("loss")) / total, hits / total];
        if x.flag("ACCUMULATE") {
            out = out.into_iter().zip(x.real::<T>("out")).map(|(a, b)| b + a).collect();
        }
        Expected::new().with("out", out)
    }
}

pub fn loss_mean() -> Vec<Case> {
    let case = |n: usize, accumulate: u32| {
        let out = if accumulate == 1 { normal(2) } else { poison(2) };
        let buffers = vec![normal(n), words_below(n, 2), out];
        let constants = [("ACCUMULATE", accumulate)];
        Case::new(
            Kernel::LossMean,
            format!("n={n}"),
            &constants,
            &[n, n + 13],
            buffers,
            LossMean,
        )
    };
    ODD.into_iter().flat_map(|n| [case(n, 0), case(n, 1)]).collect()
}

struct Dot;

impl Oracle for Dot {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let pairs: Vec<T> = x
            .real::<T>("x")
            .into_iter()
            .zip(x.real::<T>("y"))
            .map(|(a, b)| a * b)
            .collect();
        Expected::new().with(
            "partial",
            pairs.chunks(BLOCK).map(|block| sum(block.iter().copied())).collect(),
        )
    }
}

pub fn dot() -> Vec<Case> {
    let case = |len: usize| {
        let buffers = vec![normal(len), normal(len), poison(len.div_ceil(BLOCK))];
        Case::new(Kernel::Dot, format!("len={len}"), &[], &[len], buffers, Dot)
    };
    [1, 31, 33, 97, 345, BLOCK, BLOCK + 1, 2 * BLOCK + 97].map(case).into()
}

struct SumRows;

impl Oracle for SumRows {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [rows, width] = x.params();
        let partial = x.real::<T>("partial");
        let column = |k: usize| sum((0..rows).map(|row| partial[row * width + k]));
        Expected::new().with("out", (0..width).map(column).collect())
    }
}

pub fn sum_rows() -> Vec<Case> {
    let case = |[rows, width]: [usize; 2]| {
        let buffers = vec![normal(rows * width), poison(width)];
        Case::new(
            Kernel::SumRows,
            format!("rows={rows} width={width}"),
            &[],
            &[rows, width],
            buffers,
            SumRows,
        )
    };
    [[1, 1], [31, 7], [345, 33], [1, 97]].map(case).into()
}

struct Difference;

impl Oracle for Difference {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, divisor] = x.params();
        let after = x.real::<T>("after");
        let before = if x.flag("BEFORE") {
            x.real("before")
        } else {
            vec![T::new(0.0); n]
        };
        let changes = after.into_iter().zip(before).map(|(after, before)| after - before);
        let mut out = sum(changes) / T::new(divisor as f64);
        if x.flag("ACCUMULATE") {
            out = x.real::<T>("out")[0] + out;
        }
        Expected::new().with("out", vec![out])
    }
}

pub fn difference() -> Vec<Case> {
    let case = |n: usize, before: u32, accumulate: u32| {
        let mut buffers = vec![normal(n)];
        if before == 1 {
            buffers.push(normal(n));
        }
        buffers.push(if accumulate == 1 { normal(1) } else { poison(1) });
        let constants = [("BEFORE", before), ("ACCUMULATE", accumulate)];
        Case::new(
            Kernel::Difference,
            format!("n={n}"),
            &constants,
            &[n, n + 3],
            buffers,
            Difference,
        )
    };
    ODD.into_iter()
        .flat_map(|n| [case(n, 0, 0), case(n, 0, 1), case(n, 1, 0), case(n, 1, 1)])
        .collect()
}

struct HalfNormChange;

impl Oracle for HalfNormChange {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let after = x.real::<T>("after");
        let before = if x.flag("BEFORE") {
            x.real("before")
        } else {
            vec![T::new(0.0); after.len()]
        };
        let change = |(y, x): (&T, &T)| (*y - *x) * (*y + *x) / T::new(2.0);
        let changes: Vec<T> = after.iter().zip(&before).map(change).collect();
        Expected::new().with(
            "partial",
            changes.chunks(BLOCK).map(|block| sum(block.iter().copied())).collect(),
        )
    }
}

pub fn half_norm_change() -> Vec<Case> {
    let case = |len: usize, before: u32| {
        let mut buffers = vec![normal(len)];
        if before == 1 {
            buffers.push(normal(len));
        }
        buffers.push(poison(len.div_ceil(BLOCK)));
        let constants = [("BEFORE", before)];
        Case::new(
            Kernel::HalfNormChange,
            format!("len={len}"),
            &constants,
            &[len],
            buffers,
            HalfNormChange,
        )
    };
    [1, 31, 345, BLOCK, 2 * BLOCK + 33]
        .into_iter()
        .flat_map(|len| [case(len, 0), case(len, 1)])
        .collect()
}
