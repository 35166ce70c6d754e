//! Per-sample gradients, their Gram matrix, effective rank and ntcov, measured on device while a network trains.
//!
//! The gradient of a mini-batch hides how its samples disagree. This crate trains a network and measures, on the way and
//! without copying gradients to the host, the norms of the gradients of the single samples, their Gram matrix with its
//! effective ranks, their agreement and noise, and `ntcov(a, b) = grad a . grad b` between scalar properties of the
//! network. The program `gmatrix` is a thin shell over it.
//!
//! # Data flow
//!
//! ```text
//! Config ──► Experiment { examples and splits, shape of the network }
//!                 │
//!            PlanBuilder: ops over named buffers, in segments
//!                 │
//!               Plan ── lower(&Plan, &Capabilities) ──► launches of a backend's kernels
//!                                                           │
//!                                                       Executor
//!   a step:  begin  step  scalars  evaluate  gram  decompose  update  measure  end
//!                                                                               │
//!               rows of metrics ◄── at the end of a chunk ── ring on the device ◄┘
//!                 │
//!            record (Parquet, checkpoints) ──► analysis ──► report
//! ```
//!
//! The host decides nothing within a chunk of steps: what is due, the learning rate, the minibatch and the end of a run
//! are decided on the device, for each run from its own control block. See [`plan`] for plans, [`backend`] for
//! executors, [`trainer`] for the loop, [`record`] for what is kept, [`stats`] for the statistics and their columns.
//!
//! # Example
//!
//! ```
//! use gmatrix::backend::cpu::CpuExecutor;
//! use gmatrix::config::Config;
//! use gmatrix::trainer::{Experiment, Trainer};
//!
//! # fn main() -> gmatrix::Result<()> {
//! let mut config = Config::default(); // preset quick: addition modulo 59, a one-layer transformer
//! config.task.p = 7;
//! let experiment = Experiment::new(&config)?;
//! let program = experiment.program()?;
//! let executor = CpuExecutor::<f32>::new(program.plan.clone(), 1)?;
//! let mut trainer = Trainer::new(program, Box::new(executor), 1);
//! trainer.fill(0, 0, &experiment)?;
//! let rows = trainer.run_chunk(5)?;
//! let erank = trainer.columns().iter().position(|name| name == "raw.erank_sigma").unwrap();
//! assert_eq!(rows.len(), 5);
//! assert!(rows[0].values[erank] > 1.0 && rows[1].values[erank].is_nan()); // due every 50 steps
//! # Ok(())
//! # }
//! ```
//!
//! To measure given weights on given samples instead, see [`measure`]. Every column is explained in `docs/columns.md`.
//!
//! # Glossary
//!
//! | symbol | what it is |
//! |---|---|
//! | N | samples of a pass: of the batch, of a split, or of the Gram subset |
//! | P | parameters of the network, one flat arena |
//! | T | positions (tokens) of a sample |
//! | V | classes: columns of the logits |
//! | d_in, d_out | width of a site's input and output |
//! | K | properties; also the Gram matrix `[N, N]`, `K_ij = g_i . g_j` |
//! | R | runs that one plan trains side by side; every buffer has R shares |
//! | g_i | gradient of the loss of sample i with respect to all parameters |
//! | site | where a parameter meets its input `a [N, T, d_in]` and the cotangent `b [N, T, d_out]` of its output |
//! | cotangent | gradient of the *sum* of the losses (never the mean) with respect to an intermediate value |
//! | exponent | power of two by which a sample's backward pass is scaled, so that no gradient underflows |
//! | property | scalar function of the weights: a loss, a logit, log-odds, half the squared weight norm |
//! | ntcov | inner product of the gradients of two properties |
//! | plan | printable list of ops over named buffers, built without knowledge of a backend |
//! | segment | part of a step that is due on a schedule of its own |
//! | arena | memory that holds buffers of one kind and lifetime, one behind the other |
//! | slot | place of one run on the run axis |
//! | control block | words of a slot on the device: step, what is due, how it ended |
//! | chunk | steps between two looks of the host |
//! | ring | rows of metrics on the device, on their way to the host |
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `cli` | the program `gmatrix`; implies `record` and `report` | yes |
//! | `record` | run directories, Parquet | with `cli` |
//! | `report` | HTML reports; implies `record` | with `cli` |
//! | `wgpu` | what the wgpu backend needs | yes |
//!
//! Libraries take `default-features = false`: plans, the CPU backend, training and measuring need none of them.
//!
//! # Versions
//!
//! Before 1.0, a minor version may change the API, a patch version does not. What others read is kept more strictly:
//! names and meanings of columns, JSON keys and files, configuration keys, flags and exit codes change only with a note
//! under "Changed" in `CHANGELOG.md`, and run directories of earlier versions stay readable. The same seed gives the same
//! splits and initial weights in every version. The numbers of a run are promised to the bit within one version and
//! machine, not across versions. The least supported Rust version is 1.92; raising it is a minor change.

pub mod alignment;
pub mod analysis;
pub mod backend;
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod comparison;
pub mod config;
pub mod data;
pub mod error;
mod files;
mod given;
#[cfg(feature = "record")]
pub mod intervention;
pub mod loss;
pub mod measure;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod pressure;
pub mod random;
pub mod record;
#[cfg(feature = "report")]
pub mod report;
pub mod schedule;
pub mod selection;
#[cfg(feature = "record")]
mod sha256;
pub mod sites;
pub mod stats;
pub mod structure;
pub mod sweep;
pub mod task;
mod tensor_file;
pub mod tensors;
pub mod theory;
pub mod trainer;

pub use error::{Error, ErrorKind, Result};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
