//! Principal angles between the spaces that the leading directions of two matrices span.

use super::matrix::Matrix;
use crate::error::{Error, Result};

/// The principal angles, in radians and ascending, between the spaces spanned by the `count` leading left singular vectors
/// of two matrices with as many rows, whose columns are centred (Björck and Golub 1973).
///
/// The same after any orthogonal map of the columns of either. Fewer than `count` where a matrix has fewer columns.
///
/// # Errors
/// [`crate::ErrorKind::Shape`] if rows differ, or [`crate::ErrorKind::Numeric`] if a value is not finite.
pub fn principal_angles(a: &Matrix, b: &Matrix, count: usize) -> Result<Vec<f64>> {
    if a.rows != b.rows {
        return Err(Error::shape(format!(
            "matrices of {} and {} rows, expected as many of both",
            a.rows, b.rows
        )));
    }
    let [a, b] = [leading(a, count)?, leading(b, count)?];
    // The wider space first: each direction of the narrower has an angle with it.
    let (a, b) = if a.cols < b.cols { (b, a) } else { (a, b) };
    let within = a.transposed_times(&b);
    let cosines = within.directions()?.strengths;
    // What of B is outside A: its singular values are the sines, and tell small angles that cosines cannot.
    let mut sines = b.minus(&a.times(&within)).directions()?.strengths;
    sines.reverse();
    let angles = cosines.iter().zip(&sines).map(|(cosine, sine)| {
        if cosine * cosine > 0.5 {
            sine.min(1.0).asin()
        } else {
            cosine.acos()
        }
    });
    Ok(angles.collect())
}

fn leading(matrix: &Matrix, count: usize) -> Result<Matrix> {
    let found = matrix.clone().centred().directions()?;
    Ok(found.vectors.first_columns(count.min(found.vectors.cols)))
}
