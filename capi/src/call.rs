//! What every call does: catch, remember what went wrong, give a status.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use gmatrix::{Error, ErrorKind};

/// How a call ended.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It did what it says.
    Ok = 0,
    /// A pointer is null, a string is not UTF-8, or an option is not one of those offered.
    Argument = 1,
    /// Sizes do not fit together.
    Shape = 2,
    /// A number is not finite, leaves the range of the precision, or a solver did not converge.
    Numeric = 3,
    /// A file cannot be read, or does not hold what it should.
    Io = 4,
    /// Anything else that was refused.
    Failed = 5,
    /// A fault of the library; the object of the call must not be used any more, only freed.
    Panic = 6,
}

/// What stopped a call.
pub(crate) enum Stop {
    Argument(String),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Stop {
    fn status(&self) -> Status {
        match self {
            Self::Argument(_) => Status::Argument,
            Self::Error(error) => match error.kind() {
                ErrorKind::Shape(_) => Status::Shape,
                ErrorKind::Numeric(_) => Status::Numeric,
                ErrorKind::Io { .. } => Status::Io,
                _ => Status::Failed,
            },
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Argument(message) => message.clone(),
            Self::Error(error) => error.to_string(),
        }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs the body of an exported function.
pub(crate) fn call(body: impl FnOnce() -> Result<(), Stop>) -> Status {
    let (status, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => (Status::Ok, String::new()),
        Ok(Err(stop)) => (stop.status(), stop.message()),
        Err(panic) => (Status::Panic, format!("a fault of gmatrix: {}", words(panic.as_ref()))),
    };
    let message: Vec<u8> = message.bytes().filter(|byte| *byte != 0).collect();
    LAST_ERROR.set(CString::new(message).unwrap_or_default());
    status
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(words), _) => (*words).to_owned(),
        (_, Some(words)) => words.clone(),
        _ => "a panic without words".to_owned(),
    }
}

/// Why the last call of this thread that returns a status failed, as one line; empty if it did not. Valid until the
/// next such call of the thread.
#[unsafe(no_mangle)]
pub extern "C" fn gm_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|message| message.as_ptr())
}

/// A string argument.
///
/// # Safety
/// Null, or a string that ends in 0 and lives through the call.
pub(crate) unsafe fn text<'a>(argument: *const c_char, name: &str) -> Result<&'a str, Stop> {
    if argument.is_null() {
        return Err(Stop::Argument(format!("{name} is null, expected a string")));
    }
    // SAFETY: not null, and the caller vouches for the rest.
    let text = unsafe { CStr::from_ptr(argument) };
    text.to_str()
        .map_err(|_| Stop::Argument(format!("{name} is not UTF-8")))
}

/// An array argument.
///
/// # Safety
/// Null, or `len` elements that live through the call.
pub(crate) unsafe fn array<'a, T>(argument: *const T, len: usize, name: &str) -> Result<&'a [T], Stop> {
    if argument.is_null() || !argument.is_aligned() {
        return Err(Stop::Argument(format!(
            "{name} is null or not aligned, expected {len} elements"
        )));
    }
    // SAFETY: not null and aligned, and the caller vouches for the length.
    Ok(unsafe { std::slice::from_raw_parts(argument, len) })
}

/// The product of sizes.
pub(crate) fn elements(sizes: &[usize], name: &str) -> Result<usize, Stop> {
    sizes
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
        .filter(|product| *product <= isize::MAX as usize / 8)
        .ok_or_else(|| Stop::Argument(format!("{name}: sizes {sizes:?} are too large")))
}

/// An object argument.
///
/// # Safety
/// Null, or an object of this library that is not freed and that nothing else changes.
pub(crate) unsafe fn object<'a, T>(argument: *const T, name: &str) -> Result<&'a T, Stop> {
    // SAFETY: the caller vouches.
    unsafe { argument.as_ref() }.ok_or_else(|| Stop::Argument(format!("{name} is null")))
}

/// Puts a new object where the caller asked for it.
///
/// # Safety
/// `out` is null or valid for a write.
pub(crate) unsafe fn give<T>(out: *mut *mut T, object: T) -> Result<(), Stop> {
    if out.is_null() {
        return Err(Stop::Argument(
            "out is null, expected where to put the result".to_owned(),
        ));
    }
    // SAFETY: not null, and the caller vouches.
    unsafe { out.write(Box::into_raw(Box::new(object))) };
    Ok(())
}

/// Frees an object that [`give`] made.
///
/// # Safety
/// Null, or from [`give`] and not yet freed.
pub(crate) unsafe fn free<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: from Box::into_raw, and the caller vouches that this is the only time.
        drop(unsafe { Box::from_raw(object) });
    }
}
