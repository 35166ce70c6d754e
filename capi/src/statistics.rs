//! The statistics of captured sites.

use std::ffi::{CString, c_char};
use std::ptr::null;

use gmatrix::sites::Request;

use crate::call::{Status, Stop, call, free, give, object, text};
use crate::sites::{GmSites, given};

/// Precision of all real numbers in a computation; sums, norms and spectra are in double precision always.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Single.
    F32 = 0,
    /// Double.
    F64 = 1,
}

/// What was found: scalars under the names of docs/columns.md, and the Gram matrix where it was asked for.
pub struct GmStatistics {
    names: Vec<CString>,
    /// NaN where a scalar is not defined.
    values: Vec<f64>,
    gram: Option<Vec<f64>>,
    n: usize,
}

/// All statistics of the samples' gradients. precision is a gm_precision; with gram the Gram matrix is kept. Free with
/// gm_statistics_free.
///
/// # Safety
/// `sites` must not be freed; `out` must be valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_sites_statistics(
    sites: *const GmSites,
    precision: u32,
    gram: bool,
    out: *mut *mut GmStatistics,
) -> Status {
    call(|| {
        // SAFETY: the caller vouches for sites.
        let sites = unsafe { given(sites) }?;
        let precision = match precision {
            p if p == Precision::F32 as u32 => gmatrix::backend::Precision::F32,
            p if p == Precision::F64 as u32 => gmatrix::backend::Precision::F64,
            other => {
                return Err(Stop::Argument(format!(
                    "precision is {other}, expected 0 (f32) or 1 (f64)"
                )));
            }
        };
        let found = sites.statistics(&Request {
            precision,
            gram,
            ..Request::default()
        })?;
        let (names, values) = found
            .scalars
            .into_iter()
            .map(|(name, value)| (CString::new(name).unwrap_or_default(), value.unwrap_or(f64::NAN)))
            .unzip();
        let found = GmStatistics {
            names,
            values,
            gram: found.gram,
            n: sites.samples(),
        };
        // SAFETY: the caller vouches for out.
        unsafe { give(out, found) }
    })
}

/// A scalar by its name, such as "raw.erank_sigma"; NaN where it is not defined for these samples.
///
/// # Safety
/// `statistics` must not be freed, `name` must end in 0, and `out` must be valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_statistics_scalar(
    statistics: *const GmStatistics,
    name: *const c_char,
    out: *mut f64,
) -> Status {
    call(|| {
        // SAFETY: the caller vouches for the arguments.
        let (statistics, name) = unsafe { (object(statistics, "statistics")?, text(name, "name")?) };
        let at = statistics
            .names
            .iter()
            .position(|known| known.to_bytes() == name.as_bytes());
        let at = at.ok_or_else(|| Stop::Argument(format!("there is no scalar {name}; see docs/columns.md")))?;
        // SAFETY: the caller vouches for out.
        match unsafe { out.as_mut() } {
            Some(out) => *out = statistics.values[at],
            None => {
                return Err(Stop::Argument(
                    "out is null, expected where to put the result".to_owned(),
                ));
            }
        }
        Ok(())
    })
}

/// How many scalars there are.
///
/// # Safety
/// `statistics` is null or not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_statistics_count(statistics: *const GmStatistics) -> usize {
    // SAFETY: the caller vouches.
    unsafe { statistics.as_ref() }.map_or(0, |statistics| statistics.values.len())
}

/// Name of scalar i, in alphabetic order; null if there is none. Valid until the statistics are freed.
///
/// # Safety
/// As gm_statistics_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_statistics_name(statistics: *const GmStatistics, i: usize) -> *const c_char {
    // SAFETY: the caller vouches.
    let name = unsafe { statistics.as_ref() }.and_then(|statistics| statistics.names.get(i));
    name.map_or(null(), |name| name.as_ptr())
}

/// Value of scalar i; NaN if it is not defined, or if there is none.
///
/// # Safety
/// As gm_statistics_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_statistics_value(statistics: *const GmStatistics, i: usize) -> f64 {
    // SAFETY: the caller vouches.
    let value = unsafe { statistics.as_ref() }.and_then(|statistics| statistics.values.get(i));
    value.copied().unwrap_or(f64::NAN)
}

/// The Gram matrix [n, n], row-major; null if it was not asked for. n is written where it is not null. Valid until the
/// statistics are freed.
///
/// # Safety
/// As gm_statistics_count; `n` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_statistics_gram(statistics: *const GmStatistics, n: *mut usize) -> *const f64 {
    // SAFETY: the caller vouches.
    let Some(statistics) = (unsafe { statistics.as_ref() }) else {
        return null();
    };
    // SAFETY: the caller vouches.
    if let Some(n) = unsafe { n.as_mut() } {
        *n = statistics.n;
    }
    statistics.gram.as_ref().map_or(null(), |gram| gram.as_ptr())
}

/// Frees statistics; null is allowed.
///
/// # Safety
/// Null, or from this library and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_statistics_free(statistics: *mut GmStatistics) {
    // SAFETY: the caller vouches.
    unsafe { free(statistics) };
}
