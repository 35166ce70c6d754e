//! The `gmatrix` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    gmatrix::cli::main()
}
