//! Gradients of weights and biases, and per-sample gradients.

use gmatrix::plan::Kernel;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{exponents, normal, poison};
use crate::numbers::Real;

/// 2^-exponent
pub fn unscale(exponent: u32) -> f64 {
    (-f64::from(exponent.cast_signed())).exp2()
}

struct WeightGradient;

impl Oracle for WeightGradient {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [rows, n, d_in, d_out, divisor] = x.params();
        let (a, b, exponent) = (x.real::<T>("a"), x.real::<T>("b"), x.words("exponent"));
        let start = |name: &str, len: usize| {
            if x.flag("ACCUMULATE") {
                x.real::<T>(name)
            } else {
                vec![T::new(0.0); len]
            }
        };
        let mut weight = start("weight", d_in * d_out);
        let mut bias = if x.flag("BIAS") {
            start("bias", d_out)
        } else {
            vec![T::new(0.0); d_out]
        };
        for row in 0..rows {
            let factor = T::new(unscale(exponent[row % n])) / T::new(divisor as f64);
            for j in 0..d_out {
                let b = factor * b[row * d_out + j];
                bias[j] = bias[j] + b;
                for i in 0..d_in {
                    weight[i * d_out + j] = weight[i * d_out + j] + a[row * d_in + i] * b;
                }
            }
        }
        let expected = Expected::new().with("weight", weight);
        if x.flag("BIAS") {
            expected.with("bias", bias)
        } else {
            expected
        }
    }
}

pub fn weight_gradient() -> Vec<Case> {
    let case = |[n, t, d_in, d_out]: [usize; 4], bias: u32, accumulate: u32| {
        let held = |len: usize| if accumulate == 1 { normal(len) } else { poison(len) };
        let mut buffers = vec![
            normal(t * n * d_in),
            normal(t * n * d_out),
            exponents(n),
            held(d_in * d_out),
        ];
        if bias == 1 {
            buffers.push(held(d_out));
        }
        Case::new(
            Kernel::WeightGradient,
            format!("n={n} t={t} d_in={d_in} d_out={d_out}"),
            &[("BIAS", bias), ("ACCUMULATE", accumulate)],
            &[t * n, n, d_in, d_out, 3 * n],
            buffers,
            WeightGradient,
        )
    };
    // 345 x 3 rows: more than one panel; 97 columns: more than one task.
    let shapes = [
        [1, 1, 1, 1],
        [31, 3, 33, 31],
        [97, 1, 5, 97],
        [345, 3, 7, 33],
        [33, 4, 97, 3],
        [3, 1, 1, 345],
    ];
    let flags = [(0, 0), (0, 1), (1, 0), (1, 1)];
    shapes
        .into_iter()
        .flat_map(|shape| flags.map(|(bias, accumulate)| case(shape, bias, accumulate)))
        .collect()
}

struct ColumnSums;

impl Oracle for ColumnSums {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, planes, d, stride_n, stride_t, divisor] = x.params();
        let (rows, exponent) = (x.real::<T>("x"), x.words("exponent"));
        let mut out = Vec::new();
        for plane in 0..planes {
            for k in 0..d {
                let mut sum = T::new(0.0);
                for sample in 0..n {
                    sum = sum + T::new(unscale(exponent[sample])) * rows[sample * stride_n + plane * stride_t + k];
                }
                let mut value = sum / T::new(divisor as f64);
                if x.flag("ACCUMULATE") {
                    value = value + x.real::<T>("out")[plane * d + k];
                }
                out.push(value);
            }
        }
        Expected::new().with("out", out)
    }
}

pub fn column_sums() -> Vec<Case> {
    let case = |[n, planes, d]: [usize; 3], outermost: bool, accumulate: u32| {
        let (stride_n, stride_t) = if outermost { (d, n * d) } else { (planes * d, d) };
        let out = planes * d;
        let buffers = vec![
            normal(n * planes * d),
            exponents(n),
            if accumulate == 1 { normal(out) } else { poison(out) },
        ];
        Case::new(
            Kernel::ColumnSums,
            format!("n={n} planes={planes} d={d} strides {stride_n},{stride_t}"),
            &[("ACCUMULATE", accumulate)],
            &[n, planes, d, stride_n, stride_t, 5 * n],
            buffers,
            ColumnSums,
        )
    };
    let shapes = [[1, 1, 1], [31, 3, 33], [97, 4, 31], [345, 1, 97]];
    let modes = [(true, 0), (true, 1), (false, 0), (false, 1)];
    shapes
        .into_iter()
        .flat_map(|shape| modes.map(|(outermost, accumulate)| case(shape, outermost, accumulate)))
        .collect()
}

struct Materialise;

impl Oracle for Materialise {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, t, d_in, d_out, a_n, a_t, b_n, b_t] = x.params();
        let (a, b) = (x.real::<T>("a"), x.real::<T>("b"));
        let bias = usize::from(x.flag("BIAS"));
        let mut out = Vec::new();
        for sample in 0..n {
            for i in 0..d_in + bias {
                for j in 0..d_out {
                    let mut sum = T::new(0.0);
                    for place in 0..t {
                        // The bias is the row of an input that is always 1.
                        let input = if i < d_in {
                            a[sample * a_n + place * a_t + i]
                        } else {
                            T::new(1.0)
                        };
                        sum = sum + input * b[sample * b_n + place * b_t + j];
                    }
                    out.push(sum);
                }
            }
        }
        Expected::new().with("out", out)
    }
}

pub fn materialise() -> Vec<Case> {
    let case = |[n, t, d_in, d_out]: [usize; 4], bias: u32, outermost: bool| {
        let strides = |d: usize| if outermost { [d, n * d] } else { [t * d, d] };
        let ([a_n, a_t], [b_n, b_t]) = (strides(d_in), strides(d_out));
        let buffers = vec![
            normal(n * t * d_in),
            normal(n * t * d_out),
            poison(n * (d_in + bias as usize) * d_out),
        ];
        Case::new(
            Kernel::Materialise,
            format!("n={n} t={t} d_in={d_in} d_out={d_out} strides {a_n},{a_t}"),
            &[("BIAS", bias)],
            &[n, t, d_in, d_out, a_n, a_t, b_n, b_t],
            buffers,
            Materialise,
        )
    };
    let shapes = [[1, 1, 1, 1], [31, 3, 33, 5], [97, 4, 5, 31], [345, 1, 7, 3]];
    let modes = [(0, true), (1, true), (0, false), (1, false)];
    shapes
        .into_iter()
        .flat_map(|shape| modes.map(|(bias, outermost)| case(shape, bias, outermost)))
        .collect()
}
