//! stream — averages over a window of steps of what minibatches say about the population, with standard errors.
//!
//! in 0 sketch [N, 2, 64]   in 1 norm [N]   in 2 exponent [N]   in 3 square [1], |mean g|^2   inout 4 state [16, 8]
//! out 5 columns [11], see `stats::stream`: those of the window that ended, null at other steps
//! params n, window   control: step
//! order: samples ascending, then steps, in f64
//!
//! Of each step, normalised by its mean squared norm S/n, are taken, over pairs i != j of its samples: the mean of
//! K_ii K_jj, the mean of K_ij^2 (from two independent sketches, <s_i, s_j><s'_i, s'_j>), and the mean of K_ij, which is
//! coherence_unbiased, with 1 less it, the noise. A window's ratios are of averages over its steps; their errors are by
//! the jackknife over sixteen batches of neighbouring steps.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::entropy::entropy_rank;
use super::spectrum::eigenvalues;
use super::support::unscale;
use crate::backend::cpu::{Args, Scalar};
use crate::plan::layout::{STREAM_BATCHES, STREAM_WIDTH, common_scale};
use crate::plan::{SKETCH_SIDE, control};

/// Numbers of one sketch of one sample.
const AREA: usize = SKETCH_SIDE * SKETCH_SIDE;

/// What of a step is summed: 1, mean of K_ii K_jj, mean of K_ij^2, mean of K_ij, noise, the same mean of K_ij in the
/// gradients' own units, effective rank of the sketch; the last place is free.
type Terms = [f64; STREAM_WIDTH];

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, window] = args.params();
    let state = args.wide_mut("state");
    let columns = args.wide_mut("columns");
    let step = args.control()[control::STEP] as usize;
    columns.fill(f64::NAN);
    if step.is_multiple_of(window) {
        if step > 0 {
            report(state, columns);
        }
        state.fill(0.0);
    }
    let norm = args.wide("norm");
    let exponent = args.word("exponent");
    let Some(terms) = terms(n, norm, exponent, args.wide("square")[0], args.real("sketch")) else {
        return;
    };
    let batch = step % window * STREAM_BATCHES / window;
    let sums = &mut state[batch * STREAM_WIDTH..][..STREAM_WIDTH];
    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
}

/// What a step says; nothing where all gradients are zero.
fn terms<S: Scalar>(n: usize, norm: &[f64], exponent: &[u32], mean_square: f64, sketch: &[S]) -> Option<Terms> {
    let scale = common_scale(exponent, |k| norm[k] > 0.0);
    let own: Vec<f64> = norm.iter().zip(&scale).map(|(d, c)| d * c * c).collect();
    let trace: f64 = own.iter().sum();
    if trace.is_nan() || trace <= 0.0 {
        return None;
    }
    let count = n as f64;
    let pairs = count * (count - 1.0);
    let unit = count / trace;
    let squares: f64 = own.iter().map(|d| d * d).sum();
    let [first, second] = [0, 1].map(|copy| {
        let rows = sketch.chunks_exact(2 * AREA).zip(&scale);
        let rows = rows.flat_map(|(row, c)| row[copy * AREA..][..AREA].iter().map(move |x| x.to_f64() * c));
        rows.collect::<Vec<f64>>()
    });
    // sum over i, j of <s_i, s_j><s'_i, s'_j> = |S' S|_F^2 without a matrix over pairs.
    let all: f64 = products(&first, &second, n).iter().map(|x| x * x).sum();
    let length2 = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
    let same: f64 = first
        .chunks_exact(AREA)
        .zip(second.chunks_exact(AREA))
        .map(|(s, other)| length2(s) * length2(other))
        .sum();
    let true_norms = norm.iter().zip(exponent).map(|(d, e)| d.sqrt() * unscale::<f64>(*e));
    let sum: f64 = true_norms.map(|x| x * x).sum();
    let total = mean_square * count * count;
    let mean_product = (total / sum - 1.0) / (count - 1.0);
    let mut values = vec![0.0; AREA];
    eigenvalues(&products(&first, &first, n), &mut values);
    Some([
        1.0,
        (trace * trace - squares) / pairs * unit * unit,
        (all - same) / pairs * unit * unit,
        mean_product,
        (count - total / sum) / (count - 1.0),
        (total - sum) / pairs,
        entropy_rank(values.iter().map(|l| l.max(0.0).sqrt())),
        0.0,
    ])
}

/// x' y [64, 64] of rows [n, 64].
fn products(x: &[f64], y: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; AREA * AREA];
    matmul(
        MatMut::from_row_major_slice_mut(&mut out, AREA, AREA),
        Accum::Replace,
        MatRef::from_row_major_slice(x, n, AREA).transpose(),
        MatRef::from_row_major_slice(y, n, AREA),
        1.0,
        Par::Seq,
    );
    out
}

/// Participation ratio, coherence, noise scale and mean product of sums over steps.
fn ratios(sums: &Terms) -> [f64; 4] {
    // A quotient by what is not above zero says nothing.
    let over = |x: f64, y: f64| if y > 0.0 { x / y } else { f64::NAN };
    [
        over(sums[1], sums[2]),
        over(sums[3], sums[0]),
        over(sums[4], sums[3]),
        over(sums[5], sums[0]),
    ]
}

fn report(state: &[f64], columns: &mut [f64]) {
    let mut all = [0.0; STREAM_WIDTH];
    let batches: Vec<&[f64]> = state.chunks_exact(STREAM_WIDTH).filter(|batch| batch[0] > 0.0).collect();
    for batch in &batches {
        all.iter_mut().zip(*batch).for_each(|(sum, x)| *sum += x);
    }
    let without: Vec<[f64; 4]> = batches
        .iter()
        .map(|batch| ratios(&std::array::from_fn(|k| all[k] - batch[k])))
        .collect();
    let count = batches.len() as f64;
    columns[0] = all[0];
    for (k, value) in ratios(&all).into_iter().enumerate() {
        let mean = without.iter().map(|x| x[k]).sum::<f64>() / count;
        let square: f64 = without.iter().map(|x| (x[k] - mean) * (x[k] - mean)).sum();
        columns[1 + 2 * k] = value;
        columns[2 + 2 * k] = if count > 1.0 { ((count - 1.0) / count * square).sqrt() } else { f64::NAN };
    }
    columns[9] = all[6] / all[0];
    columns[10] = AREA as f64;
}
