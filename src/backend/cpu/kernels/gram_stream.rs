//! gram_stream — the tiles of `gram_tile`, none of which is stored: per tile five sums, its row sums and column sums.
//!
//! in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   in 4 norm [N]   in 5 exponent [N]
//! out 6 tiles [tiles, 264]: off-diagonal sums over the tile of K^2, cos, cos^2, the least cos, how many are negative,
//! then sums of its rows and of its columns, on the common scale of `gram_forms`   params n, sites
//! order: as `gram_tile`, then rows and columns ascending in f64; pairs i < j only, each once

use rayon::prelude::*;

use crate::plan::layout::{
    TILE, TILE_COSINE, TILE_COSINE2, TILE_FROBENIUS2, TILE_MIN, TILE_NEGATIVE, TILE_ROWS, common_scale,
};
use super::support::SiteEntry;
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
            out.fill(0.0);
            out[TILE_MIN] = f64::INFINITY;
            for row in 0..rows.len {
                let a = rows.start + row;
                let first = if i == j { row + 1 } else { 0 };
                for column in first..columns.len {
                    let b = columns.start + column;
                    let value = scratch.tile[row * columns.len + column].to_f64();
                    let raw = value * scale[a] * scale[b];
                    out[TILE_FROBENIUS2] += raw * raw;
                    out[TILE_ROWS + row] += raw;
                    out[TILE_ROWS + GRAM_TILE + column] += raw;
                    if inverse[a] > 0.0 && inverse[b] > 0.0 {
                        let cosine = value * inverse[a] * inverse[b];
                        out[TILE_COSINE] += cosine;
                        out[TILE_COSINE2] += cosine * cosine;
                        out[TILE_MIN] = out[TILE_MIN].min(cosine);
                        out[TILE_NEGATIVE] += f64::from(u8::from(cosine < 0.0));
                    }
                }
            }
        });
}
