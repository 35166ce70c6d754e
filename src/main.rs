//! The `gmatrix` program.
fn main() {}
