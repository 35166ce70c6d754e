//! gram_tile — Gram matrix K [N, N] of the per-sample gradients, as scaled: all sites for one tile of (i, j), tiles on
//! and above the diagonal only, mirrored when stored.
//!
//! in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 gram [N, N]   params n, sites
//! order: sites, then positions (t, s) ascending; each product sequential in faer, in tiles of 128 x 128

use rayon::prelude::*;

use super::support::{Rows, SiteEntry};
use super::tile::{Block, Scratch, Sources, upper_tiles};
use crate::backend::cpu::{Args, Scalar};

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, _] = args.params();
    let sources = Sources {
        activations: args.real("activations"),
        cotangents: args.real("cotangents"),
        ids: args.word("ids"),
        n,
        sites: SiteEntry::read(args.word("sites")),
    };
    let gram = Rows::new(args.real_mut("gram"));
    upper_tiles(n)
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(Scratch::new, |scratch, (i, j)| {
            let (rows, columns) = (Block::new(i, n), Block::new(j, n));
            sources.tile(rows, columns, scratch);
            for row in 0..rows.len {
                let from = &scratch.tile[row * columns.len..][..columns.len];
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
                    *value = scratch.tile[row * columns.len + column];
                }
            }
        });
}
