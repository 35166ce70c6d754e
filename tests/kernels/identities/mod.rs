//! What must hold beyond single cases: digits, identities between kernels, whole courses.

mod digits;
