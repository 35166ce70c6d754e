//! Leading eigenpairs of a large symmetric matrix, by block Lanczos with full reorthogonalisation.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::spectrum::eigenvectors;
use crate::plan::layout::KRYLOV_BLOCK;
use crate::random::Stream;

/// Rows of a panel of the matrix that one task multiplies.
const PANEL: usize = 128;

/// An eigenpair is taken where its residual is at most this share of its eigenvalue: its value is then off by the square
/// of it.
const CONVERGED: f64 = 1e-4;

/// A new direction counts where more than this share of the longest product is left beside those that are known.
const INDEPENDENT: f64 = 1e-10;

/// A symmetric matrix [n, n]. Vectors are rows, one behind the other.
pub struct Matrix<'a> {
    pub form: &'a [f64],
    pub n: usize,
}

impl Matrix<'_> {
    /// The matrix times each of the rows.
    pub fn products(&self, rows: &[f64]) -> Vec<f64> {
        let n = self.n;
        let count = rows.len() / n;
        let columns = MatRef::from_row_major_slice(rows, count, n).transpose();
        let mut out = vec![0.0; n * count];
        out.par_chunks_mut(PANEL * count).enumerate().for_each(|(panel, out)| {
            let height = out.len() / count;
            let part = &self.form[panel * PANEL * n..][..height * n];
            matmul(
                MatMut::from_row_major_slice_mut(out, height, count),
                Accum::Replace,
                MatRef::from_row_major_slice(part, height, n),
                columns,
                1.0,
                Par::Seq,
            );
        });
        (0..count)
            .flat_map(|row| out[row..].iter().step_by(count).copied())
            .collect()
    }
}

/// Vectors of independent random signs.
pub struct Signs {
    pub stream: Stream,
    pub step: u64,
    pub n: usize,
}

impl Signs {
    /// Vector number `sub` of this step.
    pub fn row(&self, sub: usize) -> Vec<f64> {
        let stream = self.stream.substream(sub as u32);
        let words = self.n.div_ceil(64) as u64;
        let bits = (0..words).map(|k| stream.bits(self.step * words + k));
        let signs = bits.flat_map(|bits| (0..64).map(move |k| if bits >> k & 1 == 1 { 1.0 } else { -1.0 }));
        signs.take(self.n).collect()
    }
}

/// Takes from each row what lies in the span of an orthonormal basis.
pub fn project_out(rows: &mut [f64], basis: &[f64], n: usize) {
    let (count, dimensions) = (rows.len() / n, basis.len() / n);
    if dimensions == 0 {
        return;
    }
    let basis = MatRef::from_row_major_slice(basis, dimensions, n);
    let mut overlaps = vec![0.0; count * dimensions];
    matmul(
        MatMut::from_row_major_slice_mut(&mut overlaps, count, dimensions),
        Accum::Replace,
        MatRef::from_row_major_slice(rows, count, n),
        basis.transpose(),
        1.0,
        Par::Seq,
    );
    matmul(
        MatMut::from_row_major_slice_mut(rows, count, n),
        Accum::Add,
        MatRef::from_row_major_slice(&overlaps, count, dimensions),
        basis,
        -1.0,
        Par::Seq,
    );
}

/// Vectors of n numbers, one behind the other, as rows.
fn rows_of(vectors: &[f64], n: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(vectors, vectors.len() / n, n)
}

/// Length of a vector.
pub fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Eigenpairs that were found well, the largest first.
pub struct Leading {
    pub values: Vec<f64>,
    /// Orthonormal rows.
    pub vectors: Vec<f64>,
    /// The largest eigenvalue, whether its pair was found well or not.
    pub largest: f64,
    /// How far an eigenvalue may lie from it; 0 if the whole space was searched.
    pub residual: f64,
}

/// Searches the Krylov space of a block of random signs, up to so many dimensions.
pub fn leading(matrix: &Matrix, signs: &Signs, most: usize) -> Leading {
    let n = matrix.n;
    let (mut basis, mut products) = (Vec::new(), Vec::new());
    let mut next: Vec<f64> = (0..KRYLOV_BLOCK).flat_map(|k| signs.row(k)).collect();
    let mut length = (n as f64).sqrt();
    loop {
        let room = n.min(most) * n - basis.len();
        let mut new = independent(next, length, &basis, n);
        new.truncate(room);
        if new.is_empty() {
            break;
        }
        next = matrix.products(&new);
        let longest = next.chunks_exact(n).map(norm).fold(0.0, f64::max);
        length = if basis.is_empty() { longest } else { longest.max(length) };
        basis.extend_from_slice(&new);
        products.extend_from_slice(&next);
    }
    let dimensions = basis.len() / n;
    let mut projected = vec![0.0; dimensions * dimensions];
    let out = MatMut::from_row_major_slice_mut(&mut projected, dimensions, dimensions);
    matmul(
        out,
        Accum::Replace,
        rows_of(&basis, n),
        rows_of(&products, n).transpose(),
        1.0,
        Par::Seq,
    );
    let (values, small) = eigenvectors(&projected, dimensions);
    let small = MatRef::from_row_major_slice(&small, dimensions, dimensions);
    let combine = |from: &[f64]| {
        let mut out = vec![0.0; dimensions * n];
        let to = MatMut::from_row_major_slice_mut(&mut out, dimensions, n);
        matmul(to, Accum::Replace, small.transpose(), rows_of(from, n), 1.0, Par::Seq);
        out
    };
    let (vectors, images) = (combine(&basis), combine(&products));
    let is_whole = dimensions == n;
    let mut found = Leading {
        values: Vec::new(),
        vectors: Vec::new(),
        largest: values.last().copied().unwrap_or(f64::NAN),
        residual: 0.0,
    };
    for k in (0..dimensions).rev() {
        let (value, vector) = (values[k], &vectors[k * n..][..n]);
        let image = images[k * n..][..n].iter();
        let rest: Vec<f64> = image.zip(vector).map(|(y, x)| y - value * x).collect();
        let residual = norm(&rest);
        if k + 1 == dimensions && !is_whole {
            found.residual = residual;
        }
        if !is_whole && (value <= 0.0 || residual > CONVERGED * value) {
            break;
        }
        found.values.push(value);
        found.vectors.extend_from_slice(vector);
    }
    found
}

/// What of the rows lies outside of an orthonormal basis, as orthonormal rows; fewer, where no more than rounding is left
/// of them beside rows of this length.
fn independent(mut rows: Vec<f64>, length: f64, basis: &[f64], n: usize) -> Vec<f64> {
    project_out(&mut rows, basis, n);
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact_mut(n) {
        project_out(row, &kept, n);
        if norm(row) <= INDEPENDENT * length {
            continue;
        }
        // What was small is rid of the rounding that was left in it when it has length 1.
        for _ in 0..2 {
            let left = norm(row);
            row.iter_mut().for_each(|x| *x /= left);
            project_out(row, basis, n);
            project_out(row, &kept, n);
        }
        let left = norm(row);
        row.iter_mut().for_each(|x| *x /= left);
        kept.extend_from_slice(row);
    }
    kept
}
