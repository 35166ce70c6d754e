//! Dense products and element-wise kernels.

use gmatrix::plan::Kernel;

use super::ODD;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Fill, filled, normal, poison};
use crate::numbers::Real;

struct Matmul;

impl Oracle for Matmul {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [m, k, n] = x.params();
        let (a, b) = (x.real::<T>("a"), x.real::<T>("b"));
        let at = |row: usize, column: usize| {
            if x.flag("TRANSPOSE_B") {
                b[column * k + row]
            } else {
                b[row * n + column]
            }
        };
        let mut out = if x.flag("ACCUMULATE") {
            x.real::<T>("out")
        } else {
            vec![T::new(0.0); m * n]
        };
        if x.flag("RESIDUAL") {
            out.iter_mut()
                .zip(x.real("residual"))
                .for_each(|(sum, r)| *sum = *sum + r);
        }
        if x.flag("BIAS") {
            let bias = x.real::<T>("bias");
            out.iter_mut()
                .enumerate()
                .for_each(|(place, sum)| *sum = *sum + bias[place % n]);
        }
        for i in 0..m {
            for j in 0..n {
                for l in 0..k {
                    out[i * n + j] = out[i * n + j] + a[i * k + l] * at(l, j);
                }
            }
        }
        Expected::new().with("out", out)
    }
}

pub fn matmul() -> Vec<Case> {
    let case = |[m, k, n]: [usize; 3], flags: u32| {
        let flag = |bit: u32| flags >> bit & 1;
        let constants = [
            ("TRANSPOSE_B", flag(0)),
            ("BIAS", flag(1)),
            ("RESIDUAL", flag(2)),
            ("ACCUMULATE", flag(3)),
        ];
        let mut buffers = vec![normal(m * k), normal(k * n)];
        if flag(1) == 1 {
            buffers.push(normal(n));
        }
        if flag(2) == 1 {
            buffers.push(normal(m * n));
        }
        buffers.push(if flag(3) == 1 { normal(m * n) } else { poison(m * n) });
        Case::new(
            Kernel::Matmul,
            format!("m={m} k={k} n={n}"),
            &constants,
            &[m, k, n],
            buffers,
            Matmul,
        )
    };
    let mut cases: Vec<Case> = (0..16).map(|flags| case([33, 31, 13], flags)).collect();
    // Above one panel of rows; a width of 0, as a bias alone is had.
    for shape in [
        [1, 1, 1],
        [1, 345, 31],
        [345, 33, 1],
        [97, 1, 33],
        [31, 97, 33],
        [33, 345, 7],
        [300, 5, 31],
    ] {
        cases.extend([0, 1, 6, 15].map(|flags| case(shape, flags)));
    }
    cases.extend([0, 2, 10, 15].map(|flags| case([33, 0, 31], flags)));
    cases
}

struct Add;

impl Oracle for Add {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let (input, out) = (x.real::<T>("input"), x.real::<T>("out"));
        Expected::new().with("out", input.iter().zip(&out).map(|(a, b)| *a + *b).collect())
    }
}

pub fn add() -> Vec<Case> {
    let case = |len: usize| {
        let buffers = vec![normal(len), normal(len)];
        Case::new(Kernel::Add, format!("len={len}"), &[], &[len], buffers, Add)
    };
    ODD.map(case).into()
}

struct Copy;

impl Oracle for Copy {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        Expected::new().with("out", x.real("input"))
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        // To the bit, signs of zeros included.
        let same = x
            .plain("input")
            .iter()
            .zip(x.plain_after("out"))
            .all(|(a, b)| a.to_bits() == b.to_bits());
        if same {
            Ok(())
        } else {
            Err("a copy with other bits".into())
        }
    }
}

pub fn copy() -> Vec<Case> {
    let case = |len: usize| {
        let input = filled(len, move |rng| {
            let mut numbers = rng.normals(len);
            numbers[0] = -0.0;
            numbers
        });
        Case::new(
            Kernel::Copy,
            format!("len={len}"),
            &[],
            &[len],
            vec![input, poison(len)],
            Copy,
        )
    };
    ODD.map(case).into()
}

/// The standard normal distribution function.
fn normal_cdf<T: Real>(x: T) -> T {
    T::new(0.5) * (-x * T::new(0.5).sqrt()).erfc()
}

struct Activation;

impl Oracle for Activation {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let f = |x: T, kind: u32| match kind {
            0 if x > T::new(0.0) => x,
            0 => T::new(0.0),
            1 => x * normal_cdf(x),
            _ => x * x,
        };
        let kind = x.constant("ACTIVATION");
        Expected::new().with("out", x.real::<T>("input").into_iter().map(|x| f(x, kind)).collect())
    }
}

struct ActivationBackward;

impl Oracle for ActivationBackward {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let slope = |x: T, kind: u32| match kind {
            0 if x > T::new(0.0) => T::new(1.0),
            0 => T::new(0.0),
            1 => {
                let density = (-(x * x) * T::new(0.5)).exp() / (T::new(2.0) * T::new(std::f64::consts::PI)).sqrt();
                normal_cdf(x) + x * density
            }
            _ => x + x,
        };
        let kind = x.constant("ACTIVATION");
        let pairs = x.real::<T>("input").into_iter().zip(x.real::<T>("cotangent"));
        Expected::new().with("cotangent", pairs.map(|(x, c)| c * slope(x, kind)).collect())
    }
}

/// Normal numbers, with zeros of both signs and values far out.
fn wide_range(len: usize) -> (usize, Fill) {
    filled(len, move |rng| {
        let mut numbers = rng.normals(len);
        for (k, special) in [0.0, -0.0, 30.0, -30.0, 6.5, -6.5, -12.0, 1e-20]
            .into_iter()
            .enumerate()
        {
            if 3 * k < len {
                numbers[3 * k] = special;
            }
        }
        numbers
    })
}

pub fn activation() -> Vec<Case> {
    let case = |kind: u32, len: usize| {
        let buffers = vec![wide_range(len), poison(len)];
        Case::new(
            Kernel::Activation,
            format!("len={len}"),
            &[("ACTIVATION", kind)],
            &[len],
            buffers,
            Activation,
        )
    };
    // More than one task.
    (0..3)
        .flat_map(|kind| [1, 31, 33, 97, 345, 16_384 + 5].map(|len| case(kind, len)))
        .collect()
}

pub fn activation_backward() -> Vec<Case> {
    let case = |kind: u32, len: usize| {
        let buffers = vec![wide_range(len), normal(len)];
        let name = format!("len={len}");
        let constants = [("ACTIVATION", kind)];
        Case::new(
            Kernel::ActivationBackward,
            name,
            &constants,
            &[len],
            buffers,
            ActivationBackward,
        )
    };
    (0..3)
        .flat_map(|kind| [1, 31, 33, 97, 345, 16_384 + 5].map(|len| case(kind, len)))
        .collect()
}
