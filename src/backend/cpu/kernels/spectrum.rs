//! spectrum — eigenvalues of symmetric matrices, ascending; NaN for a matrix that is not finite.
//!
//! inout 0 forms [matrices, N, N], used up elsewhere   out 1 eigenvalues [matrices, N]   params matrices, n
//! order: matrices in parallel, each solved sequentially by faer in f64

use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::diag::Diag;
use faer::{MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [_, n] = args.params();
    args.wide_mut("eigenvalues")
        .par_chunks_exact_mut(n)
        .zip(args.wide_mut("forms").par_chunks_exact(n * n))
        .with_max_len(1)
        .for_each(|(out, matrix)| eigenvalues(matrix, out));
}

/// Eigenvalues of one symmetric matrix [n, n], ascending, and its eigenvectors as the columns of a matrix; NaN where they are not
/// found.
pub fn eigenvectors(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut values = Diag::<f64>::zeros(n);
    let mut vectors = vec![0.0; n * n];
    let params = Default::default();
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, params);
    let mut memory = MemBuffer::new(scratch);
    let solved = matrix.iter().all(|x| x.is_finite())
        && self_adjoint_evd(
            MatRef::from_row_major_slice(matrix, n, n),
            values.as_mut(),
            Some(MatMut::from_row_major_slice_mut(&mut vectors, n, n)),
            Par::Seq,
            MemStack::new(&mut memory),
            params,
        )
        .is_ok();
    if !solved {
        vectors.fill(f64::NAN);
    }
    let value = |k: usize| if solved { values[k] } else { f64::NAN };
    ((0..n).map(value).collect(), vectors)
}

/// Eigenvalues of one symmetric matrix, ascending.
pub fn eigenvalues(matrix: &[f64], out: &mut [f64]) {
    let n = out.len();
    let finite = matrix.iter().all(|x| x.is_finite());
    let mut values = Diag::<f64>::zeros(n);
    let params = Default::default();
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::No, Par::Seq, params);
    let mut memory = MemBuffer::new(scratch);
    let solved = finite
        && self_adjoint_evd(
            MatRef::from_row_major_slice(matrix, n, n),
            values.as_mut(),
            None,
            Par::Seq,
            MemStack::new(&mut memory),
            params,
        )
        .is_ok();
    for (k, to) in out.iter_mut().enumerate() {
        *to = if solved { values[k] } else { f64::NAN };
    }
}
