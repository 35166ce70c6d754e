//! How small buffers that several kernels share are laid out: the sums over a Gram matrix and over its streamed tiles,
//! the sums of the optimiser, the parts of an update, the ledger; and how much room the estimates of a spectrum need.

use super::kernel::GRAM_TILE;

/// Numbers per form at the head of the sums: trace, squared Frobenius norm, sum of squared diagonal entries, samples
/// that count.
pub const PER_FORM: usize = 8;
/// Trace.
pub const TRACE: usize = 0;
/// Squared Frobenius norm.
pub const FROBENIUS2: usize = 1;
/// Sum of squared diagonal entries.
pub const DIAGONAL2: usize = 2;
/// Samples that count.
pub const SAMPLES: usize = 3;

/// Of a form that stands alone: trace before centring over the trace, 1 where nothing is centred. Its diagonal follows
/// after [`PER_FORM`] numbers.
pub const FORM_CONDITION: usize = 4;

/// Forms, in the order of their columns.
pub const RAW: usize = 0;
/// Its cosines.
pub const COSINE: usize = 1;
/// That of the centred gradients.
pub const CENTRED: usize = 2;

/// Sum of cosines over pairs i < j of non-zero gradients.
pub const COSINE_SUM: usize = 24;
/// Such pairs.
pub const PAIRS: usize = 25;
/// Smallest cosine.
pub const COSINE_MIN: usize = 26;
/// Pairs with a negative cosine.
pub const NEGATIVE: usize = 27;
/// tr K / tr K_centred.
pub const CONDITION: usize = 28;
/// After so many numbers the diagonals follow, `[3, N]`.
pub const HEAD: usize = 32;

/// Numbers of one streamed tile: five sums, then the row sums and the column sums of raw products.
pub const TILE: usize = 8 + 2 * GRAM_TILE;
/// Sum over the tile of K^2.
pub const TILE_FROBENIUS2: usize = 0;
/// Sum of cosines.
pub const TILE_COSINE: usize = 1;
/// Sum of squared cosines.
pub const TILE_COSINE2: usize = 2;
/// Smallest cosine.
pub const TILE_MIN: usize = 3;
/// How many cosines are negative.
pub const TILE_NEGATIVE: usize = 4;
/// First of the row sums, then of the column sums.
pub const TILE_ROWS: usize = 8;

/// 2^-(e_i - e_0) for every sample, e_0 the smallest exponent: the common scale of the raw form, in which the largest
/// gradients keep theirs. Samples without a gradient have no say in it, and scale 0.
pub fn common_scale(exponents: &[u32], alive: impl Fn(usize) -> bool) -> Vec<f64> {
    let samples = || exponents.iter().map(|e| e.cast_signed()).enumerate();
    let smallest = samples().filter(|(k, _)| alive(*k)).map(|(_, e)| e).min().unwrap_or(0);
    samples()
        .map(|(k, e)| if alive(k) { f64::from(smallest - e).exp2() } else { 0.0 })
        .collect()
}

/// Sums of the optimiser over one block: |theta|^2, |g|^2, |update|^2, g.g_prev, |g_prev|^2, g.m_prev, |m_prev|^2.
pub const OPTIMIZER_SUMS: usize = 7;

/// Most parts of an update: selection, lagged, noise, decay, and decay_lagged where the rule remembers decay.
pub const UPDATE_PARTS: usize = 5;

/// Parts of an update by a rule that does or does not remember decay.
pub const fn update_parts(remembered: bool) -> usize {
    if remembered { UPDATE_PARTS } else { UPDATE_PARTS - 1 }
}

/// Numbers of one property's ledger: running sums of the five parts, second order and between; the value after the last
/// recorded step; whether there was one.
pub const LEDGER_WIDTH: usize = 9;

/// Batches of neighbouring steps in a window of the stream, between which its errors are estimated.
pub const STREAM_BATCHES: usize = 16;

/// Numbers summed over the steps of one of them.
pub const STREAM_WIDTH: usize = 8;

/// Vectors of a block in the search for the leading eigenvalues of a large matrix, and probes of what is left that take
/// their steps side by side where room is scarce.
pub const KRYLOV_BLOCK: usize = 8;

/// Most dimensions of the space that is searched for them.
pub const KRYLOV: usize = 192;

/// Most Lanczos steps of a probe of what is left.
pub const PROBE_STEPS: usize = 64;

/// Wide numbers that the estimate of a spectrum [n, n] needs beside its arguments: the vectors of the searched space and
/// their images, a block of probes with their images and all their steps; the projected matrix and the reflectors that
/// reduce it; the tridiagonals of a block of probes; nodes, weights and deviations of every probe, at all its steps and
/// at half of them. Where a wide number is a pair, half of them suffice.
pub const fn lanczos_room(n: usize, probes: usize) -> usize {
    let dimensions = if n < KRYLOV { n } else { KRYLOV };
    let vectors = 2 * dimensions + KRYLOV_BLOCK * (2 + PROBE_STEPS);
    let small = 2 * (dimensions * dimensions + KRYLOV_BLOCK * PROBE_STEPS);
    vectors * n + small + 2 * 2 * (PROBE_STEPS + DEVIATIONS) * probes
}

/// Functions of an eigenvalue whose sums over the spectrum are estimated.
pub const DEVIATIONS: usize = 4;
