//! Dense matrices as far as comparisons need them.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use crate::error::{Error, Result};

/// A matrix, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// `[rows, cols]`.
    pub values: Vec<f64>,
}

/// The singular values of a matrix, descending, and its left singular vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Directions {
    /// Singular values, `[min(rows, cols)]`.
    pub strengths: Vec<f64>,
    /// Left singular vectors as columns, `[rows, min(rows, cols)]`.
    pub vectors: Matrix,
}

impl Matrix {
    /// A matrix from its values.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Shape`] if there are not `rows * cols` of them.
    pub fn new(rows: usize, cols: usize, values: Vec<f64>) -> Result<Self> {
        if values.len() != rows * cols {
            return Err(Error::shape(format!(
                "{} values, expected {rows} rows of {cols}",
                values.len()
            )));
        }
        Ok(Self { rows, cols, values })
    }

    /// The same with the mean of every column taken out.
    #[must_use]
    pub fn centred(mut self) -> Self {
        let mut means = vec![0.0; self.cols];
        for row in self.values.chunks_exact(self.cols.max(1)) {
            means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        means.iter_mut().for_each(|mean| *mean /= self.rows as f64);
        for row in self.values.chunks_exact_mut(self.cols.max(1)) {
            row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= mean);
        }
        self
    }

    /// Rows as columns.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let values = (0..self.cols).flat_map(|c| (0..self.rows).map(move |r| self.values[r * self.cols + c]));
        Self {
            rows: self.cols,
            cols: self.rows,
            values: values.collect(),
        }
    }

    /// The product with another, whose rows are as many as the columns here.
    pub(super) fn times(&self, other: &Self) -> Self {
        product(self.view(), other.view())
    }

    /// The transpose of this times another with as many rows.
    pub(super) fn transposed_times(&self, other: &Self) -> Self {
        product(self.view().transpose(), other.view())
    }

    /// This times its own transpose.
    pub(super) fn gram(&self) -> Self {
        product(self.view(), self.view().transpose())
    }

    /// This less another of the same shape.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a - b);
        Self {
            values: values.collect(),
            ..*self
        }
    }

    /// The first columns.
    pub(super) fn first_columns(&self, count: usize) -> Self {
        let rows = self.values.chunks_exact(self.cols.max(1));
        Self {
            rows: self.rows,
            cols: count,
            values: rows.flat_map(|row| &row[..count]).copied().collect(),
        }
    }

    /// Its singular value decomposition, without the right singular vectors.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Numeric`] if a value is not finite or the solver does not converge.
    pub fn directions(&self) -> Result<Directions> {
        let k = self.rows.min(self.cols);
        let mut strengths = Diag::<f64>::zeros(k);
        let mut vectors = Mat::<f64>::zeros(self.rows, k);
        let params = Default::default();
        let (with, without) = (ComputeSvdVectors::Thin, ComputeSvdVectors::No);
        let mut memory = MemBuffer::new(svd_scratch::<f64>(
            self.rows,
            self.cols,
            with,
            without,
            Par::Seq,
            params,
        ));
        let solved = self.values.iter().all(|x| x.is_finite())
            && svd(
                self.view(),
                strengths.as_mut(),
                Some(vectors.as_mut()),
                None,
                Par::Seq,
                MemStack::new(&mut memory),
                params,
            )
            .is_ok();
        if !solved {
            return Err(Error::numeric("a matrix that is not finite has no singular values"));
        }
        let values = (0..self.rows).flat_map(|row| (0..k).map(move |c| (row, c)));
        Ok(Directions {
            strengths: (0..k).map(|c| strengths[c]).collect(),
            vectors: Self {
                rows: self.rows,
                cols: k,
                values: values.map(|(row, c)| vectors[(row, c)]).collect(),
            },
        })
    }

    fn view(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.cols)
    }
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Matrix {
    let (rows, cols) = (a.nrows(), b.ncols());
    let mut values = vec![0.0; rows * cols];
    let out = MatMut::from_row_major_slice_mut(&mut values, rows, cols);
    matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
    Matrix { rows, cols, values }
}
