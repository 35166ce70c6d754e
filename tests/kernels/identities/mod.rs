//! What must hold beyond single cases: digits, identities between kernels, whole courses.

mod courses;
mod coverage;
mod digits;
mod parts;
mod spectra;
mod zeros;
