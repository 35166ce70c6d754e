//! Captured sites.

use std::ffi::c_char;

use gmatrix::sites::Sites;

use crate::call::{Status, Stop, array, call, elements, free, give, object, text};

/// Captured activations and cotangents of n samples. The gradient of sample i at a linear site is
/// sum over t of `a[i,t] b[i,t]^T`, where b is the gradient of the SUM of the samples' losses with respect to the output.
pub struct GmSites(pub(crate) Sites);

/// No sites yet, of n samples. Free with gm_sites_free.
///
/// # Safety
/// `out` must be valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_sites_new(n: usize, out: *mut *mut GmSites) -> Status {
    call(|| {
        let sites = Sites::new(n)?;
        // SAFETY: the caller vouches for out.
        unsafe { give(out, GmSites(sites)) }
    })
}

/// Sites of a safetensors file, as gmatrix gram --sites reads it. Free with gm_sites_free.
///
/// # Safety
/// `path` must end in 0; `out` must be valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_sites_read(path: *const c_char, out: *mut *mut GmSites) -> Status {
    call(|| {
        // SAFETY: the caller vouches for path.
        let sites = Sites::read(unsafe { text(path, "path") }?)?;
        // SAFETY: the caller vouches for out.
        unsafe { give(out, GmSites(sites)) }
    })
}

/// Adds y = x W, or y = x W + c with bias: a [n, positions, d_in] and b [n, positions, d_out], row-major. They are
/// copied.
///
/// # Safety
/// `sites` must not be freed, `name` must end in 0, and the arrays must have these lengths.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "C has no other way to say shapes")]
pub unsafe extern "C" fn gm_sites_linear(
    sites: *mut GmSites,
    name: *const c_char,
    a: *const f64,
    b: *const f64,
    positions: usize,
    d_in: usize,
    d_out: usize,
    bias: bool,
) -> Status {
    // SAFETY: the caller vouches for the arguments.
    call(|| unsafe { linear(sites, name, (a, d_in), (b, d_out), positions, bias) })
}

/// gm_sites_linear from single precision.
///
/// # Safety
/// As gm_sites_linear.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "C has no other way to say shapes")]
pub unsafe extern "C" fn gm_sites_linear_f32(
    sites: *mut GmSites,
    name: *const c_char,
    a: *const f32,
    b: *const f32,
    positions: usize,
    d_in: usize,
    d_out: usize,
    bias: bool,
) -> Status {
    // SAFETY: the caller vouches for the arguments.
    call(|| unsafe { linear(sites, name, (a, d_in), (b, d_out), positions, bias) })
}

/// # Safety
/// As [`gm_sites_linear`].
unsafe fn linear<F: Copy + Into<f64>>(
    sites: *mut GmSites,
    name: *const c_char,
    (a, d_in): (*const F, usize),
    (b, d_out): (*const F, usize),
    positions: usize,
    bias: bool,
) -> Result<(), Stop> {
    // SAFETY: the caller vouches for the arguments.
    let (sites, name) = unsafe { (changed(sites)?, text(name, "name")?) };
    let n = sites.samples();
    // SAFETY: as above.
    let a = unsafe { array(a, elements(&[n, positions, d_in], "a")?, "a") }?;
    // SAFETY: as above.
    let b = unsafe { array(b, elements(&[n, positions, d_out], "b")?, "b") }?;
    match bias {
        false => sites.linear(name, a, d_in, b, d_out)?,
        true => sites.linear_bias(name, a, d_in, b, d_out)?,
    }
    Ok(())
}

/// Adds `y = W[id]`: ids [n, positions] into a table of so many rows, and b [n, positions, d_out], row-major. rows = 0
/// stands for the largest id plus one.
///
/// # Safety
/// As gm_sites_linear.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_sites_embedding(
    sites: *mut GmSites,
    name: *const c_char,
    ids: *const u32,
    b: *const f64,
    positions: usize,
    d_out: usize,
    rows: usize,
) -> Status {
    call(|| {
        // SAFETY: the caller vouches for the arguments.
        let (sites, name) = unsafe { (changed(sites)?, text(name, "name")?) };
        let n = sites.samples();
        // SAFETY: as above.
        let ids = unsafe { array(ids, elements(&[n, positions], "ids")?, "ids") }?;
        // SAFETY: as above.
        let b = unsafe { array(b, elements(&[n, positions, d_out], "b")?, "b") }?;
        Ok(sites.embedding(name, ids, b, d_out, (rows > 0).then_some(rows))?)
    })
}

/// Adds a parameter by its gradients of the single samples, g [n, size], row-major.
///
/// # Safety
/// As gm_sites_linear.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_sites_materialised(
    sites: *mut GmSites,
    name: *const c_char,
    g: *const f64,
    size: usize,
) -> Status {
    call(|| {
        // SAFETY: the caller vouches for the arguments.
        let (sites, name) = unsafe { (changed(sites)?, text(name, "name")?) };
        // SAFETY: as above.
        let g = unsafe { array(g, elements(&[sites.samples(), size], "g")?, "g") }?;
        Ok(sites.materialised(name, g)?)
    })
}

/// Frees sites; null is allowed.
///
/// # Safety
/// Null, or from this library and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gm_sites_free(sites: *mut GmSites) {
    // SAFETY: the caller vouches.
    unsafe { free(sites) };
}

/// # Safety
/// Null, or sites that are not freed and that nothing else uses.
unsafe fn changed<'a>(sites: *mut GmSites) -> Result<&'a mut Sites, Stop> {
    // SAFETY: the caller vouches.
    match unsafe { sites.as_mut() } {
        Some(sites) => Ok(&mut sites.0),
        None => Err(Stop::Argument("sites is null".to_owned())),
    }
}

/// # Safety
/// Null, or sites that are not freed and that nothing changes.
pub(crate) unsafe fn given<'a>(sites: *const GmSites) -> Result<&'a Sites, Stop> {
    // SAFETY: the caller vouches.
    Ok(&unsafe { object(sites, "sites") }?.0)
}
