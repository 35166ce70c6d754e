//! Layer normalisation.

use gmatrix::plan::Kernel;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Fill, filled, normal, poison};
use crate::numbers::{Real, sum};

const EPS: f64 = 1e-5;

/// Mean and 1/sqrt(variance + eps) of a row.
fn moments<T: Real>(row: &[T]) -> (T, T) {
    let d = T::new(row.len() as f64);
    let mean = sum(row.iter().copied()) / d;
    let variance = sum(row.iter().map(|v| (*v - mean) * (*v - mean))) / d;
    (mean, T::new(1.0) / (variance + T::new(EPS)).sqrt())
}

struct LayerNorm;

impl Oracle for LayerNorm {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [rows, d] = x.params();
        let (gain, shift) = (x.real::<T>("gain"), x.real::<T>("shift"));
        let (mut normals, mut inverses, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for row in x.real::<T>("input").chunks_exact(d).take(rows) {
            let (mean, inverse) = moments(row);
            inverses.push(inverse);
            for k in 0..d {
                let normal = (row[k] - mean) * inverse;
                normals.push(normal);
                out.push(normal * gain[k] + shift[k]);
            }
        }
        Expected::new()
            .with("normal", normals)
            .with("inverse_sd", inverses)
            .with("out", out)
    }
}

/// Rows about different means; one of them constant.
fn rows_of(rows: usize, d: usize) -> (usize, Fill) {
    filled(rows * d, move |rng| {
        let mut values = Vec::new();
        for row in 0..rows {
            let (mean, sd) = (3.0 * rng.normal(), if row == 1 { 0.0 } else { rng.uniform(0.1, 2.0) });
            values.extend(rng.normals(d).into_iter().map(|x| mean + sd * x));
        }
        values
    })
}

const SHAPES: [[usize; 2]; 5] = [[1, 1], [31, 33], [97, 31], [345, 5], [3, 345]];

pub fn layer_norm() -> Vec<Case> {
    let case = |[rows, d]: [usize; 2]| {
        let buffers = vec![
            rows_of(rows, d),
            normal(d),
            normal(d),
            poison(rows * d),
            poison(rows),
            poison(rows * d),
        ];
        Case::new(
            Kernel::LayerNorm,
            format!("rows={rows} d={d}"),
            &[],
            &[rows, d],
            buffers,
            LayerNorm,
        )
    };
    SHAPES.map(case).into()
}

struct LayerNormBackward;

impl Oracle for LayerNormBackward {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [rows, d] = x.params();
        let (cotangent, normal) = (x.real::<T>("cotangent"), x.real::<T>("normal"));
        let (gain, inverse) = (x.real::<T>("gain"), x.real::<T>("inverse_sd"));
        let residual = if x.flag("RESIDUAL") {
            x.real("residual")
        } else {
            vec![T::new(0.0); rows * d]
        };
        let mut out = Vec::new();
        for row in 0..rows {
            let c: Vec<T> = (0..d).map(|k| cotangent[row * d + k] * gain[k]).collect();
            let normal = &normal[row * d..][..d];
            let mean = sum(c.iter().copied()) / T::new(d as f64);
            let along = sum((0..d).map(|k| c[k] * normal[k])) / T::new(d as f64);
            for k in 0..d {
                out.push(inverse[row] * (c[k] - mean - normal[k] * along) + residual[row * d + k]);
            }
        }
        Expected::new().with("out", out)
    }
}

pub fn layer_norm_backward() -> Vec<Case> {
    let case = |[rows, d]: [usize; 2], residual: u32| {
        let inverse = filled(rows, move |rng| (0..rows).map(|_| rng.uniform(0.5, 300.0)).collect());
        let mut buffers = vec![normal(rows * d), normal(rows * d), inverse, normal(d)];
        if residual == 1 {
            buffers.push(normal(rows * d));
        }
        buffers.push(poison(rows * d));
        Case::new(
            Kernel::LayerNormBackward,
            format!("rows={rows} d={d}"),
            &[("RESIDUAL", residual)],
            &[rows, d],
            buffers,
            LayerNormBackward,
        )
    };
    SHAPES
        .into_iter()
        .flat_map(|shape| [case(shape, 0), case(shape, 1)])
        .collect()
}

struct LayerNormSamples;

impl Oracle for LayerNormSamples {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, t, d] = x.params();
        let (cotangent, normal) = (x.real::<T>("cotangent"), x.real::<T>("normal"));
        let (mut gain, mut shift) = (Vec::new(), Vec::new());
        for sample in 0..n {
            for k in 0..d {
                let places = (0..t).map(|place| (place * n + sample) * d + k);
                gain.push(sum(places.clone().map(|at| normal[at] * cotangent[at])));
                shift.push(sum(places.map(|at| cotangent[at])));
            }
        }
        Expected::new().with("gain", gain).with("shift", shift)
    }
}

pub fn layer_norm_samples() -> Vec<Case> {
    let case = |[n, t, d]: [usize; 3]| {
        let buffers = vec![normal(n * t * d), normal(n * t * d), poison(n * d), poison(n * d)];
        Case::new(
            Kernel::LayerNormSamples,
            format!("n={n} t={t} d={d}"),
            &[],
            &[n, t, d],
            buffers,
            LayerNormSamples,
        )
    };
    [[1, 1, 1], [31, 1, 33], [97, 3, 31], [345, 4, 5]].map(case).into()
}
