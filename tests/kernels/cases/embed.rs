//! Look-ups in tables and their gradients.

use gmatrix::plan::Kernel;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{exponents, normal, poison, words_below};
use crate::numbers::Real;

/// Where rows (n, t) of width d lie: the three ways the networks use.
#[derive(Clone, Copy)]
enum Rows {
    /// `[T, N, d]`
    PositionsOutermost,
    /// `[N, T, d]`
    SamplesOutermost,
    /// `[N, d]`: all positions share a row.
    Shared,
}

impl Rows {
    fn strides(self, n: usize, t: usize, d: usize) -> [usize; 2] {
        match self {
            Self::PositionsOutermost => [d, n * d],
            Self::SamplesOutermost => [t * d, d],
            Self::Shared => [d, 0],
        }
    }

    fn len(self, n: usize, t: usize, d: usize) -> usize {
        if matches!(self, Self::Shared) { n * d } else { n * t * d }
    }
}

/// Tokens of a vocabulary: few, so that they repeat.
const VOCABULARY: usize = 11;

struct Embed;

impl Oracle for Embed {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, t, d, stride_n, stride_t, id_step] = x.params();
        let (ids, table) = (x.words("ids"), x.real::<T>("table"));
        let mut out = vec![T::new(0.0); x.plain("out").len()];
        for place in 0..t {
            for sample in 0..n {
                let row = ids[place * n + sample] as usize + place * id_step;
                for k in 0..d {
                    let to = &mut out[sample * stride_n + place * stride_t + k];
                    let mut value = table[row * d + k];
                    if x.flag("POSITION") {
                        value = value + x.real::<T>("position")[place * d + k];
                    }
                    *to = if x.flag("SUM") { *to + value } else { value };
                }
            }
        }
        Expected::new().with("out", out)
    }
}

pub fn embed() -> Vec<Case> {
    let case = |[n, t, d]: [usize; 3], rows: Rows, position: u32, step: usize| {
        let sum = u32::from(matches!(rows, Rows::Shared));
        let [stride_n, stride_t] = rows.strides(n, t, d);
        let mut buffers = vec![
            words_below(t * n, VOCABULARY),
            normal((VOCABULARY + (t - 1) * step) * d),
        ];
        if position == 1 {
            buffers.push(normal(t * d));
        }
        buffers.push(poison(rows.len(n, t, d)));
        Case::new(
            Kernel::Embed,
            format!("n={n} t={t} d={d} strides {stride_n},{stride_t} step {step}"),
            &[("POSITION", position), ("SUM", sum)],
            &[n, t, d, stride_n, stride_t, step],
            buffers,
            Embed,
        )
    };
    let mut cases = Vec::new();
    for shape in [[1, 1, 1], [31, 2, 33], [97, 3, 31], [345, 4, 5]] {
        for rows in [Rows::PositionsOutermost, Rows::SamplesOutermost, Rows::Shared] {
            for position in [0, 1] {
                cases.push(case(shape, rows, position, 0));
                cases.push(case(shape, rows, position, VOCABULARY));
            }
        }
    }
    cases
}

struct EmbedBackward;

impl Oracle for EmbedBackward {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, t, d, stride_n, stride_t, id_step, rows, divisor] = x.params();
        let (b, ids, exponent) = (x.real::<T>("b"), x.words("ids"), x.words("exponent"));
        let mut table = vec![T::new(0.0); rows * d];
        if x.flag("ACCUMULATE") {
            table = x.real("table");
        }
        for place in 0..t {
            for sample in 0..n {
                let row = ids[place * n + sample] as usize + place * id_step;
                let factor = T::new((-f64::from(exponent[sample].cast_signed())).exp2()) / T::new(divisor as f64);
                for k in 0..d {
                    let to = &mut table[row * d + k];
                    *to = *to + factor * b[sample * stride_n + place * stride_t + k];
                }
            }
        }
        Expected::new().with("table", table)
    }
}

pub fn embed_backward() -> Vec<Case> {
    let case = |[n, t, d]: [usize; 3], rows: Rows, accumulate: u32, step: usize| {
        let [stride_n, stride_t] = rows.strides(n, t, d);
        // One row more than any token reaches: it must become 0.
        let table = VOCABULARY + 1 + (t - 1) * step;
        let buffers = vec![
            normal(rows.len(n, t, d)),
            words_below(t * n, VOCABULARY),
            exponents(n),
            if accumulate == 1 {
                normal(table * d)
            } else {
                poison(table * d)
            },
        ];
        Case::new(
            Kernel::EmbedBackward,
            format!("n={n} t={t} d={d} strides {stride_n},{stride_t} step {step}"),
            &[("ACCUMULATE", accumulate)],
            &[n, t, d, stride_n, stride_t, step, table, 7 * n],
            buffers,
            EmbedBackward,
        )
    };
    let mut cases = Vec::new();
    for shape in [[1, 1, 1], [31, 2, 33], [97, 3, 31], [345, 4, 5]] {
        for rows in [Rows::PositionsOutermost, Rows::SamplesOutermost, Rows::Shared] {
            for accumulate in [0, 1] {
                cases.push(case(shape, rows, accumulate, 0));
                cases.push(case(shape, rows, accumulate, VOCABULARY));
            }
        }
    }
    cases
}
