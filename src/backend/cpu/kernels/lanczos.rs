//! lanczos — ranks of a large form from its leading eigenvalues and from random probes of the rest, with standard errors.
//!
//! in 0 form [N, N]   in 1 sums [8], see `plan::layout`   inout 2 ranks [9], in the order of the columns of `raw.`
//! out 3 errors [3], of erank_sigma, erank_lambda and stable_rank   inout 4 room, see `plan::layout`, which means nothing
//! afterwards
//! params n, probes, dimensions to search at most   control: seed, step
//! order: products in panels of 128 rows; all else sequential for each probe, probes ascending, in f64
//!
//! Block Lanczos with full reorthogonalisation finds leading eigenpairs. Those it has found well are taken away; on what
//! is left, stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017) estimates sums of functions of eigenvalues from
//! probes of independent signs. A line is fitted to each function first: its sum is known from dimension and trace, and
//! only what deviates from it scatters. Eigenvalues below 4 N eps lambda_max count as 0, as for exact spectra.
//! The error joins the scatter between probes with what half as many Lanczos steps would change; that of stable_rank is
//! the bound that the residual gives. Nulls, traces and participation ratios stay as they are.

use super::quadrature::{Functions, ranks as estimate};
use super::ritz::{Matrix, Signs, leading};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::control;
use crate::plan::layout::TRACE;
use crate::random::{Purpose, Stream};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, probes, dimensions] = args.params();
    let block = args.control();
    let word = |place: usize| u64::from(block.get(place).copied().unwrap_or(0));
    let seed = word(control::SEED_LOW) | word(control::SEED_HIGH) << 32;
    let signs = Signs {
        stream: Stream::new(seed, Purpose::Probe),
        step: word(control::STEP),
        n,
    };
    let ranks = args.wide_mut("ranks");
    let errors = args.wide_mut("errors");
    errors.fill(f64::NAN);
    // The participation ratio is null where the form is.
    if ranks[2].is_nan() {
        return;
    }
    let matrix = Matrix {
        form: args.wide("form"),
        n,
    };
    let trace = args.wide("sums")[TRACE];
    let top = leading(&matrix, &signs, dimensions);
    let largest = top.largest;
    if largest.is_nan() || largest <= 0.0 {
        return;
    }
    let functions = Functions {
        largest,
        threshold: 4.0 * n as f64 * S::PRECISION.epsilon() * largest,
    };
    let [sigma, lambda] = estimate(&matrix, &top, trace, &functions, probes, &signs);
    (ranks[0], errors[0]) = sigma;
    (ranks[1], errors[1]) = lambda;
    ranks[4] = trace / largest;
    errors[2] = ranks[4] * top.residual / largest;
}
