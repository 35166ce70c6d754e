//! Kernel conformance: one list of cases per kernel, run on every backend in four modes.
//!
//! - **test**: every case against a plain oracle, with sentinels around every buffer, poisoned outputs, a neighbour
//!   full of NaN, and rayon pools of 1 and 3 threads
//! - **grad**: central differences in f64, of kernel pairs and of whole networks
//! - **perf** (`cargo test --release --test kernels -- --ignored perf --nocapture`): every launch of a training step
//! - **support**: which kernel runs on which backend, and why not

mod backends;
mod case;
mod cases;
mod compare;
mod cuda_host;
mod faults;
mod fill;
mod grad;
mod identities;
mod masks;
mod nanda;
mod numbers;
mod perf;
mod run;
mod support;
