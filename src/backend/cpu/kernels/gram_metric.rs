//! gram_metric — G M G' [N, N] of the per-sample gradients G, as scaled, for a diagonal metric M: as `gram_tile`, from
//! gradients that are formed for a few rows of a weight at a time, since M stands between their factors.
//!
//! in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 offsets [sites, 2]: first
//! parameter of the weight and of the bias   in 5 metric [P]   out 6 gram [N, N]   params n, sites
//! order: sites, then rows of the weight in groups, ascending; each product sequential in faer, in tiles of 128 x 128

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::support::{Rows, SiteEntry, add_scaled, vectorised};
use super::tile::{Block, upper_tiles};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::{GRAM_TILE, SiteKind};

/// Most entries of a gradient that are formed at a time.
const WIDTH: usize = 4096;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, _] = args.params();
    let sources = Sources {
        activations: args.real("activations"),
        cotangents: args.real("cotangents"),
        ids: args.word("ids"),
        metric: args.real("metric"),
        n,
    };
    let sites = SiteEntry::read(args.word("sites"));
    let offsets: Vec<[usize; 2]> = args.word("offsets").chunks_exact(2).map(|o| [o[0] as usize, o[1] as usize]).collect();
    let gram = Rows::new(args.real_mut("gram"));
    upper_tiles(n).into_par_iter().with_max_len(1).for_each(|(i, j)| {
        let (rows, columns) = (Block::new(i, n), Block::new(j, n));
        let mut tile = vec![S::ZERO; rows.len * columns.len];
        for (site, offsets) in sites.iter().zip(&offsets) {
            sources.add(site, *offsets, rows, columns, &mut tile);
        }
        for (row, from) in tile.chunks_exact(columns.len).enumerate() {
            // SAFETY: tile (i, j) and its mirror image belong to this task alone.
            unsafe { gram.part((rows.start + row) * n + columns.start, columns.len) }.copy_from_slice(from);
        }
        if i == j {
            return;
        }
        for column in 0..columns.len {
            // SAFETY: as above.
            let to = unsafe { gram.part((columns.start + column) * n + rows.start, rows.len) };
            for (row, value) in to.iter_mut().enumerate() {
                *value = tile[row * columns.len + column];
            }
        }
    });
}

/// What tiles are computed from.
struct Sources<'a, S> {
    activations: &'a [S],
    cotangents: &'a [S],
    ids: &'a [u32],
    metric: &'a [S],
    n: usize,
}

impl<S: Scalar> Sources<'_, S> {
    /// Adds a site's part of a tile.
    fn add(&self, site: &SiteEntry, [weight, bias]: [usize; 2], i: Block, j: Block, tile: &mut [S]) {
        let width = site.d_out;
        match site.kind {
            SiteKind::Linear | SiteKind::LinearBias => {
                let rows = (WIDTH / width.max(1)).clamp(1, site.d_in.max(1));
                for first in (0..site.d_in).step_by(rows) {
                    let range = first..site.d_in.min(first + rows);
                    let form = |block| self.formed(site, block, range.clone());
                    let metric = &self.metric[weight + first * width..][..range.len() * width];
                    product(form(i), form(j), metric, j.len, tile);
                }
                if site.kind == SiteKind::LinearBias {
                    let form = |block| self.formed(site, block, site.d_in..site.d_in + 1);
                    product(form(i), form(j), &self.metric[bias..][..width], j.len, tile);
                }
            }
            SiteKind::Position | SiteKind::Materialised => {
                for t in 0..site.positions {
                    let rows = |block: Block| {
                        let samples = block.start..block.start + block.len;
                        samples.flat_map(|n| site.b_row(self.cotangents, n, t)).copied().collect()
                    };
                    product(rows(i), rows(j), &self.metric[weight + t * width..][..width], j.len, tile);
                }
            }
            SiteKind::Embedding => self.embedding(site, weight, i, j, tile),
        }
    }

    /// Rows of the weight's gradient, for every sample of a block; row d_in is that of the bias.
    fn formed(&self, site: &SiteEntry, block: Block, range: std::ops::Range<usize>) -> Vec<S> {
        let width = site.d_out;
        let mut out = vec![S::ZERO; block.len * range.len() * width];
        for (sample, out) in out.chunks_exact_mut(range.len() * width).enumerate() {
            vectorised(
                #[inline(always)]
                || {
                    for t in 0..site.positions {
                        let a = site.a_row(self.activations, block.start + sample, t);
                        let b = site.b_row(self.cotangents, block.start + sample, t);
                        for (row, to) in range.clone().zip(out.chunks_exact_mut(width)) {
                            add_scaled(to, a.get(row).copied().unwrap_or(S::ONE), b);
                        }
                    }
                },
            );
        }
        out
    }

    /// Only rows of tokens that both samples have meet.
    fn embedding(&self, site: &SiteEntry, weight: usize, i: Block, j: Block, tile: &mut [S]) {
        let row_of = |sample: usize, t: usize| self.ids[t * self.n + sample] as usize + t * site.id_step;
        for (row, sums) in tile.chunks_exact_mut(j.len).enumerate() {
            for (column, sum) in sums.iter_mut().enumerate() {
                let (one, other) = (i.start + row, j.start + column);
                for t in 0..site.positions {
                    for s in (0..site.positions).filter(|s| row_of(other, *s) == row_of(one, t)) {
                        let metric = &self.metric[weight + row_of(one, t) * site.d_out..][..site.d_out];
                        let rows = site.b_row(self.cotangents, one, t).iter().zip(site.b_row(self.cotangents, other, s));
                        for ((x, y), m) in rows.zip(metric) {
                            *sum += *x * *m * *y;
                        }
                    }
                }
            }
        }
    }
}

/// tile += x diag(metric) y', rows of x and y being as long as the metric.
fn product<S: Scalar>(x: Vec<S>, mut y: Vec<S>, metric: &[S], columns: usize, tile: &mut [S]) {
    let width = metric.len();
    for row in y.chunks_exact_mut(width) {
        row.iter_mut().zip(metric).for_each(|(y, m)| *y *= *m);
    }
    let rows = tile.len() / columns;
    debug_assert!(rows <= GRAM_TILE);
    matmul(
        MatMut::from_row_major_slice_mut(tile, rows, columns),
        Accum::Add,
        MatRef::from_row_major_slice(&x, rows, width),
        MatRef::from_row_major_slice(&y, columns, width).transpose(),
        S::ONE,
        Par::Seq,
    );
}
