//! gram_sums — the sums of `gram_forms` from the tiles of `gram_stream`, where no matrix is stored.
//!
//! in 0 tiles [tiles, 264]   in 1 norm [N]   in 2 exponent [N]   out 3 sums [32 + 3 N], see `plan::layout`   params n
//! order: tiles ascending, in f64
//!
//! With row sums r and total s: diag_c = K_ii - 2 r_i/n + s/n^2, |HKH|_F^2 = |K|_F^2 - 2/n |r|^2 + s^2/n^2.

use crate::plan::layout::{
    CENTRED, CONDITION, COSINE, COSINE_MIN, COSINE_SUM, DIAGONAL2, FROBENIUS2, HEAD, NEGATIVE, PAIRS, PER_FORM, RAW,
    SAMPLES, TILE, TILE_COSINE, TILE_COSINE2, TILE_FROBENIUS2, TILE_MIN, TILE_NEGATIVE, TILE_ROWS, TRACE, common_scale,
};
use super::tile::{Block, upper_tiles};
use crate::backend::cpu::{Args, Scalar};
use crate::plan::GRAM_TILE;

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n] = args.params();
    let norm = args.wide("norm");
    let scale = common_scale(args.word("exponent"), |k| norm[k] > 0.0);
    let sums = args.wide_mut("sums");
    sums.fill(0.0);
    let (head, diagonals) = sums.split_at_mut(HEAD);
    let mut rows: Vec<f64> = norm.iter().zip(&scale).map(|(x, c)| x * c * c).collect();
    let own = rows.clone();
    let (mut square, mut cosine2, mut least) = (0.0, 0.0, f64::INFINITY);
    for (tile, (i, j)) in args.wide("tiles").chunks_exact(TILE).zip(upper_tiles(n)) {
        square += tile[TILE_FROBENIUS2];
        cosine2 += tile[TILE_COSINE2];
        least = least.min(tile[TILE_MIN]);
        head[COSINE_SUM] += tile[TILE_COSINE];
        head[NEGATIVE] += tile[TILE_NEGATIVE];
        for (block, at) in [(Block::new(i, n), TILE_ROWS), (Block::new(j, n), TILE_ROWS + GRAM_TILE)] {
            for k in 0..block.len {
                rows[block.start + k] += tile[at + k];
            }
        }
    }
    let total: f64 = rows.iter().sum();
    let count = n as f64;
    let alive = norm.iter().filter(|x| **x > 0.0).count() as f64;
    let row_square: f64 = rows.iter().map(|r| r * r).sum();
    let own_square: f64 = own.iter().map(|d| d * d).sum();
    let frobenius2 = 2.0 * square + own_square;
    for k in 0..n {
        diagonals[RAW * n + k] = own[k];
        diagonals[COSINE * n + k] = f64::from(u8::from(norm[k] > 0.0));
        diagonals[CENTRED * n + k] = (own[k] - 2.0 * rows[k] / count + total / (count * count)).max(0.0);
    }
    let mut form = |form: usize, frobenius2: f64, samples: f64| {
        let diagonal = &diagonals[form * n..][..n];
        let head = &mut head[form * PER_FORM..];
        head[TRACE] = diagonal.iter().sum();
        head[FROBENIUS2] = frobenius2;
        head[DIAGONAL2] = diagonal.iter().map(|d| d * d).sum();
        head[SAMPLES] = samples;
    };
    form(RAW, frobenius2, count);
    form(COSINE, 2.0 * cosine2 + alive, alive);
    form(
        CENTRED,
        frobenius2 - 2.0 / count * row_square + (total / count).powi(2),
        count,
    );
    head[PAIRS] = alive * (alive - 1.0) / 2.0;
    head[COSINE_MIN] = least;
    head[CONDITION] = head[RAW * PER_FORM + TRACE] / head[CENTRED * PER_FORM + TRACE];
}
