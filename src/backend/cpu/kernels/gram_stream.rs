//! gram_stream — the tiles of `gram_tile`, none of which is stored: per tile five sums, its row sums and column sums.
//!
//! in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 norm [N]   in 5 exponent [N]
//! out 6 tiles [tiles, 264]: off-diagonal sums over the tile of K^2, cos, cos^2, the least cos, how many are negative,
//! then sums of its rows and of its columns, on the common scale of `gram_forms`   params n, sites
//! order: as `gram_tile`, then rows ascending in f64, columns in eight running sums side by side; pairs i < j only, each once

use rayon::prelude::*;

use crate::plan::layout::{
    TILE, TILE_COSINE, TILE_COSINE2, TILE_FROBENIUS2, TILE_MIN, TILE_NEGATIVE, TILE_ROWS, common_scale,
};
use super::support::{SiteEntry, vectorised};
use super::tile::{Block, Scratch, Sources, upper_tiles};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::GRAM_TILE;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, _] = args.params();
    let sources = Sources {
        activations: args.real("activations"),
        cotangents: args.real("cotangents"),
        ids: args.word("ids"),
        n,
        sites: SiteEntry::read(args.word("sites")),
    };
    let norm = args.wide("norm");
    let scale = common_scale(args.word("exponent"), |k| norm[k] > 0.0);
    let inverse: Vec<f64> = norm.iter().map(|x| if *x > 0.0 { 1.0 / x.sqrt() } else { 0.0 }).collect();
    args.wide_mut("tiles")
        .par_chunks_exact_mut(TILE)
        .zip(upper_tiles(n))
        .with_max_len(1)
        .for_each_init(Scratch::new, |scratch, (out, (i, j))| {
            let (rows, columns) = (Block::new(i, n), Block::new(j, n));
            sources.tile(rows, columns, scratch);
            let tile = &scratch.tile[..rows.len * columns.len];
            let weights = Weights::new(columns, &scale, &inverse);
            vectorised(
                #[inline(always)]
                || sum_tile(tile, rows, columns, (&scale, &inverse), weights, out),
            );
        });
}

/// Running sums side by side, so that a row is summed by vectors; added in order at the end.
const LANES: usize = 8;

/// Common scale and inverse norm of a tile's columns; zeros behind the last one, and for pairs that do not count.
struct Weights {
    scale: [f64; GRAM_TILE],
    inverse: [f64; GRAM_TILE],
}

impl Weights {
    fn new(columns: Block, scale: &[f64], inverse: &[f64]) -> Self {
        let of = |all: &[f64]| {
            let mut own = [0.0; GRAM_TILE];
            own[..columns.len].copy_from_slice(&all[columns.start..][..columns.len]);
            own
        };
        Self {
            scale: of(scale),
            inverse: of(inverse),
        }
    }
}

#[inline(always)]
fn sum_tile<S: Scalar>(
    tile: &[S],
    rows: Block,
    columns: Block,
    (scale, inverse): (&[f64], &[f64]),
    mut weights: Weights,
    out: &mut [f64],
) {
    let mut sums = [[0.0; LANES]; 4];
    let mut least = [f64::INFINITY; LANES];
    let mut column_sums = [0.0; GRAM_TILE];
    let mut row_sums = [0.0; GRAM_TILE];
    for (row, from) in tile.chunks_exact(columns.len).enumerate() {
        if rows.start == columns.start {
            weights.scale[row] = 0.0;
            weights.inverse[row] = 0.0;
        }
        let mut values = [0.0; GRAM_TILE];
        values.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f64());
        let (row_scale, row_inverse) = (scale[rows.start + row], inverse[rows.start + row]);
        let mut row_sum = [0.0; LANES];
        for first in (0..GRAM_TILE).step_by(LANES) {
            for lane in 0..LANES {
                let column = first + lane;
                let raw = values[column] * row_scale * weights.scale[column];
                let cosine = values[column] * row_inverse * weights.inverse[column];
                let counts = row_inverse > 0.0 && weights.inverse[column] > 0.0;
                column_sums[column] += raw;
                row_sum[lane] += raw;
                sums[0][lane] += raw * raw;
                sums[1][lane] += cosine;
                sums[2][lane] += cosine * cosine;
                sums[3][lane] += if cosine < 0.0 { 1.0 } else { 0.0 };
                least[lane] = if counts && cosine < least[lane] { cosine } else { least[lane] };
            }
        }
        row_sums[row] = row_sum.iter().sum();
    }
    out.fill(0.0);
    for (place, sum) in [TILE_FROBENIUS2, TILE_COSINE, TILE_COSINE2, TILE_NEGATIVE].into_iter().zip(sums) {
        out[place] = sum.iter().sum();
    }
    out[TILE_MIN] = least.into_iter().fold(f64::INFINITY, f64::min);
    out[TILE_ROWS..][..GRAM_TILE].copy_from_slice(&row_sums);
    out[TILE_ROWS + GRAM_TILE..][..GRAM_TILE].copy_from_slice(&column_sums);
}
