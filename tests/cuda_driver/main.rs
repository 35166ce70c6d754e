//! The CUDA executor and the program around it, on a stand-in for the driver that runs kernels on the host; the tests in
//! `training` run on a real device instead where `GMATRIX_REQUIRE` names cuda. The kernels are tested in `tests/kernels`.
#![cfg(all(feature = "cudarc", feature = "cli", target_os = "linux"))]

mod program;
mod standin;
mod training;
