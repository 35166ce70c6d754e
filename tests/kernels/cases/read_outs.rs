//! Linear read-outs of logits, and products of rows with scales.

use gmatrix::plan::Kernel;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{filled, filled_words, normal, poison, poison_words};
use crate::numbers::{Real, sum};

/// x 2^exponent, in two factors, as one may exceed the range of f32.
fn scaled<T: Real>(x: T, exponent: i32) -> T {
    let half = exponent / 2;
    x * T::new(f64::from(half).exp2()) * T::new(f64::from(exponent - half).exp2())
}

/// The largest of every row lies in [1/2, 1] (1 by rounding), or all are zero with exponent 0.
fn in_unit_range(x: &Data, rows: &str, exponents: &str, width: usize) -> Result<(), String> {
    let exponents = x.words_after(exponents);
    for (row, values) in x.plain_after(rows).chunks_exact(width).enumerate() {
        let top = values.iter().fold(0.0, |top: f64, v| top.max(v.abs()));
        let exponent = exponents[row].cast_signed();
        if !((0.5..=1.0).contains(&top) || (top == 0.0 && exponent == 0)) {
            return Err(format!("row {row}: largest {top}, exponent {exponent}"));
        }
    }
    Ok(())
}

struct ReadOut;

impl Oracle for ReadOut {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, classes] = x.params();
        let (logits, coefficients) = (x.real::<T>("logits"), x.real::<T>("coefficients"));
        let (mut value, mut cotangent) = (Vec::new(), Vec::new());
        for sample in 0..n {
            let row = &coefficients[x.words("rows")[sample] as usize * classes..][..classes];
            let z = &logits[sample * classes..][..classes];
            value.push(sum(row.iter().zip(z).map(|(c, z)| *c * *z)));
            if x.flag("GRADIENT") {
                let exponent = x.words_after("exponent")[sample].cast_signed();
                cotangent.extend(row.iter().map(|c| scaled(*c, exponent)));
            }
        }
        let expected = Expected::new().with("value", value);
        if x.flag("GRADIENT") {
            expected.with("cotangent", cotangent)
        } else {
            expected
        }
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        if x.flag("GRADIENT") {
            in_unit_range(x, "cotangent", "exponent", x.case.params[1])
        } else {
            Ok(())
        }
    }
}

pub fn read_out() -> Vec<Case> {
    let case = |[n, classes, tables]: [usize; 3], gradient: u32| {
        let mut buffers = vec![
            normal(n * classes),
            filled_words(n, move |rng| rng.words(n, tables)),
            // Rows of any size; the last is zero.
            filled(tables * classes, move |rng| {
                let mut rows = rng.normals(tables * classes);
                for (row, values) in rows.chunks_exact_mut(classes).enumerate() {
                    let size = if row + 1 == tables {
                        0.0
                    } else {
                        rng.uniform(-30.0, 30.0).exp2()
                    };
                    values.iter_mut().for_each(|v| *v *= size);
                }
                rows
            }),
            poison(n),
        ];
        if gradient == 1 {
            buffers.extend([poison(n * classes), poison_words(n)]);
        }
        Case::new(
            Kernel::ReadOut,
            format!("n={n} classes={classes} rows={tables}"),
            &[("GRADIENT", gradient)],
            &[n, classes],
            buffers,
            ReadOut,
        )
    };
    [[1, 1, 2], [31, 33, 31], [97, 113, 7], [345, 5, 2], [9, 345, 4]]
        .into_iter()
        .flat_map(|shape| [case(shape, 0), case(shape, 1)])
        .collect()
}

struct ScaledProduct;

impl Oracle for ScaledProduct {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [m, k, n] = x.params();
        let (matrix, rows) = (x.real::<T>("matrix"), x.real::<T>("x"));
        let mut out = Vec::new();
        for i in 0..m {
            let exponent = x.words_after("out_exponent")[i].cast_signed();
            for column in 0..n {
                out.push(sum((0..k).map(|j| {
                    let by = exponent - x.words("exponent")[j].cast_signed();
                    scaled(matrix[i * k + j] * rows[j * n + column], by)
                })));
            }
        }
        Expected::new().with("out", out)
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        in_unit_range(x, "out", "out_exponent", x.case.params[2])
    }
}

pub fn scaled_product() -> Vec<Case> {
    let case = |[m, k, n]: [usize; 3], spread: f64| {
        let buffers = vec![
            // The last row is zero.
            filled(m * k, move |rng| {
                let mut matrix = rng.normals(m * k);
                matrix[(m - 1) * k..].fill(0.0);
                matrix
            }),
            // Every third row is zero, with exponent 0, which is no scale.
            filled(k * n, move |rng| {
                let mut rows = rng.normals(k * n);
                for (j, row) in rows.chunks_exact_mut(n).enumerate() {
                    let top = row.iter().fold(0.0, |top: f64, v| top.max(v.abs()));
                    let factor = if j % 3 == 2 { 0.0 } else { 0.75 / top };
                    row.iter_mut().for_each(|v| *v *= factor);
                }
                rows
            }),
            filled_words(k, move |rng| {
                let exponent = |j: usize, u: f64| if j % 3 == 2 { 0 } else { (400.0 + u) as i32 };
                (0..k)
                    .map(|j| exponent(j, rng.uniform(0.0, spread)).cast_unsigned())
                    .collect()
            }),
            poison(m * n),
            poison_words(m),
        ];
        Case::new(
            Kernel::ScaledProduct,
            format!("m={m} k={k} n={n} spread={spread}"),
            &[],
            &[m, k, n],
            buffers,
            ScaledProduct,
        )
    };
    [[2, 1, 1], [32, 31, 33], [34, 33, 31], [114, 113, 113], [8, 7, 345]]
        .into_iter()
        .flat_map(|shape| [case(shape, 1.0), case(shape, 90.0)])
        .collect()
}
