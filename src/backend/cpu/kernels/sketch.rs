//! sketch — two independent two-sided sketches [N, 2, 64] of every sample's gradient, as scaled.
//!
//! in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 sketch [N, 2, 8, 8]
//! params n, sites   control: seed, step
//! order: sites, then positions ascending; products sequential in faer, in blocks of 64 samples
//!
//! Sketch (row, column) of sample i is the sum over sites and positions of (L b_it)_row (R a_it)_column, L and R with
//! entries of one size and random signs, other ones for each site, sketch and step. a is the input, with a 1 behind it
//! for a bias; a unit vector for tables of tokens and positions; 1 for gradients that are there. So products of
//! sketches are without bias those of gradients, and products of the two sketches' products those of their squares.
//! Signs: bit `row` of word `step * width + place` of stream (seed, Sketch), sub-stream 4 site + 2 sketch + (0 for L, 1
//! for R), in which `place` counts the entries of b or a.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::support::{SAMPLES, SiteEntry};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::{SKETCH_SIDE, SiteKind, control};
use crate::random::{Purpose, Stream};

/// Numbers of one sketch of one sample.
const AREA: usize = SKETCH_SIDE * SKETCH_SIDE;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, _] = args.params();
    let (activations, cotangents, ids) = (args.real("activations"), args.real("cotangents"), args.word("ids"));
    let sites = SiteEntry::read(args.word("sites"));
    let block = args.control();
    let seed = u64::from(block[control::SEED_LOW]) | u64::from(block[control::SEED_HIGH]) << 32;
    let step = u64::from(block[control::STEP]);
    let signs: Vec<[Signs<S>; 2]> = sites
        .iter()
        .enumerate()
        .map(|(place, site)| [0, 1].map(|copy| Signs::new(site, seed, step, 4 * place + 2 * copy)))
        .collect();
    args.real_mut("sketch")
        .par_chunks_mut(SAMPLES * 2 * AREA)
        .enumerate()
        .for_each(|(block, out)| {
            out.fill(S::ZERO);
            let first = block * SAMPLES;
            let count = out.len() / (2 * AREA);
            let (mut left, mut right) = (vec![S::ZERO; count * SKETCH_SIDE], vec![S::ZERO; count * SKETCH_SIDE]);
            for (site, signs) in sites.iter().zip(&signs) {
                for (copy, signs) in signs.iter().enumerate() {
                    for t in 0..site.positions {
                        project(cotangents, site.b, (first, t), &signs.left, &mut left);
                        signs.inputs(site, activations, |sample| ids[t * n + sample], (first, t), &mut right);
                        for (sample, out) in out.chunks_exact_mut(2 * AREA).enumerate() {
                            let own = sample * SKETCH_SIDE..(sample + 1) * SKETCH_SIDE;
                            let rows = out[copy * AREA..][..AREA].chunks_exact_mut(SKETCH_SIDE);
                            for (row, b) in rows.zip(&left[own.clone()]) {
                                for (to, a) in row.iter_mut().zip(&right[own.clone()]) {
                                    *to += *b * *a;
                                }
                            }
                        }
                    }
                }
            }
        });
}

/// The signs of one site and sketch.
struct Signs<S> {
    /// Those of b, [d_out, side].
    left: Vec<S>,
    /// Those of a, [d_in (+ 1), side], where there is an a.
    right: Vec<S>,
    stream: Stream,
    step: u64,
}

impl<S: Scalar> Signs<S> {
    fn new(site: &SiteEntry, seed: u64, step: u64, sub: usize) -> Self {
        let stream = |sub: usize| Stream::new(seed, Purpose::Sketch).substream(sub as u32);
        let matrix = |stream: Stream, width: usize| {
            let words = (0..width as u64).map(|place| stream.bits(step * width as u64 + place));
            words.flat_map(entries).collect()
        };
        let width = match site.kind {
            SiteKind::Linear => site.d_in,
            SiteKind::LinearBias => site.d_in + 1,
            SiteKind::Embedding | SiteKind::Position | SiteKind::Materialised => 0,
        };
        Self {
            left: matrix(stream(sub), site.d_out),
            right: matrix(stream(sub + 1), width),
            stream: stream(sub + 1),
            step,
        }
    }

    /// R a of samples from `first` on, at position t.
    fn inputs(
        &self,
        site: &SiteEntry,
        activations: &[S],
        id: impl Fn(usize) -> u32,
        (first, t): (usize, usize),
        out: &mut [S],
    ) {
        let unit = |place: u64| entries(self.stream.bits((self.step << 32) + place));
        match site.kind {
            SiteKind::Linear | SiteKind::LinearBias => {
                let weights = &self.right[..site.d_in * SKETCH_SIDE];
                project(activations, site.a, (first, t), weights, out);
                let bias = &self.right[site.d_in * SKETCH_SIDE..];
                for row in out.chunks_exact_mut(SKETCH_SIDE) {
                    row.iter_mut().zip(bias).for_each(|(to, b)| *to += *b);
                }
            }
            SiteKind::Embedding => {
                for (sample, row) in out.chunks_exact_mut(SKETCH_SIDE).enumerate() {
                    let place = id(first + sample) as usize + t * site.id_step;
                    row.iter_mut().zip(unit(place as u64)).for_each(|(to, x)| *to = x);
                }
            }
            SiteKind::Position | SiteKind::Materialised => {
                for row in out.chunks_exact_mut(SKETCH_SIDE) {
                    row.iter_mut().zip(unit(t as u64)).for_each(|(to, x)| *to = x);
                }
            }
        }
    }
}

/// Entries of one size and the signs of a word's bits.
fn entries<S: Scalar>(word: u64) -> impl Iterator<Item = S> {
    let size = S::from_f64(1.0 / (SKETCH_SIDE as f64).sqrt());
    (0..SKETCH_SIDE).map(move |row| if word >> row & 1 == 1 { size } else { -size })
}

/// out [samples, side] = rows of samples from `first` on at position t, times weights [width, side].
fn project<S: Scalar>(
    arena: &[S],
    [start, stride_n, stride_t]: [usize; 3],
    (first, t): (usize, usize),
    weights: &[S],
    out: &mut [S],
) {
    let (count, width) = (out.len() / SKETCH_SIDE, weights.len() / SKETCH_SIDE);
    if width == 0 {
        out.fill(S::ZERO);
        return;
    }
    let start = start + first * stride_n + t * stride_t;
    let rows = &arena[start..start + (count - 1) * stride_n + width];
    matmul(
        MatMut::from_row_major_slice_mut(out, count, SKETCH_SIDE),
        Accum::Replace,
        MatRef::from_row_major_slice_with_stride(rows, count, width, stride_n),
        MatRef::from_row_major_slice(weights, width, SKETCH_SIDE),
        S::ONE,
        Par::Seq,
    );
}
