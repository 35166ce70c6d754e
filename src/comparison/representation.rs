//! How alike two representations of the same samples are. Rows are samples; columns may be as different as they like.

use super::matrix::Matrix;
use crate::error::{Error, Result};

/// Share of the variance that [`svcca`]'s directions explain, as in Raghu et al. 2017.
pub const EXPLAINED: f64 = 0.99;

/// Linear centred kernel alignment (Kornblith et al. 1905.00414): with the columns of X and Y centred and K = X X^T, L = Y Y^T,
/// HSIC(K, L)/sqrt(HSIC(K, K) HSIC(L, L)) = |X^T Y|_F^2/(|X^T X|_F |Y^T Y|_F).
///
/// From 0 to 1; the same after any orthogonal map and scaling of the columns of either. None where one does not vary.
///
/// # Errors
/// [`crate::ErrorKind::Shape`] if there are not as many samples on both sides.
pub fn cka(x: &Matrix, y: &Matrix) -> Result<Option<f64>> {
    check(x, y)?;
    let (x, y) = (x.clone().centred(), y.clone().centred());
    let (of_x, of_y) = (alignment(&x, &x).sqrt(), alignment(&y, &y).sqrt());
    Ok((of_x > 0.0 && of_y > 0.0).then(|| alignment(&x, &y) / of_x / of_y))
}

/// |X^T Y|_F^2 = <X X^T, Y Y^T>, by whichever has the smaller matrices.
fn alignment(x: &Matrix, y: &Matrix) -> f64 {
    if x.cols * y.cols <= x.rows * x.rows {
        return x.transposed_times(y).values.iter().map(|z| z * z).sum();
    }
    let (k, l) = (x.gram(), y.gram());
    k.values.iter().zip(&l.values).map(|(k, l)| k * l).sum()
}

/// Singular vector canonical correlation (Raghu et al. 1706.05806): both representations are centred and reduced to the fewest
/// leading principal directions that explain `explained` of their variance; the mean canonical correlation of these.
///
/// The mean is over as many correlations as the smaller of both has directions. From 0 to 1; the same after any orthogonal
/// map and scaling of the columns of either, and with `explained` 1 after any invertible map. None where one does not vary.
///
/// # Errors
/// [`crate::ErrorKind::Shape`] if there are not as many samples on both sides, or [`crate::ErrorKind::Numeric`] if a value is not finite.
pub fn svcca(x: &Matrix, y: &Matrix, explained: f64) -> Result<Option<f64>> {
    check(x, y)?;
    let (Some(x), Some(y)) = (principal(x, explained)?, principal(y, explained)?) else {
        return Ok(None);
    };
    let correlations = x.transposed_times(&y).directions()?.strengths;
    let mean = correlations.iter().map(|c| c.min(1.0)).sum::<f64>() / correlations.len() as f64;
    Ok(Some(mean))
}

/// An orthonormal basis of the leading principal directions along the samples.
fn principal(x: &Matrix, explained: f64) -> Result<Option<Matrix>> {
    let found = x.clone().centred().directions()?;
    let squares: Vec<f64> = found.strengths.iter().map(|s| s * s).collect();
    let total: f64 = squares.iter().sum();
    if total == 0.0 {
        return Ok(None);
    }
    // What rounding alone leaves of directions that are not there.
    let floor = x.rows.max(x.cols) as f64 * f64::EPSILON * found.strengths[0];
    let real = found.strengths.iter().filter(|s| **s > floor).count();
    let mut sum = 0.0;
    let enough = squares.iter().position(|square| {
        sum += square;
        sum >= explained * total
    });
    let count = enough.map_or(real, |last| (last + 1).min(real));
    Ok(Some(found.vectors.first_columns(count)))
}

fn check(x: &Matrix, y: &Matrix) -> Result<()> {
    if x.rows == y.rows {
        return Ok(());
    }
    Err(Error::shape(format!(
        "representations of {} and {} samples, expected as many of both",
        x.rows, y.rows
    )))
}
