//! One tile of the Gram matrix of per-sample gradients, summed over all sites. Used by `gram_tile` and `gram_stream`.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::support::{SiteEntry, add_scaled, dot, vectorised};
use crate::backend::cpu::Scalar;
use crate::plan::{GRAM_TILE, SiteKind};

/// What tiles are computed from.
pub struct Sources<'a, S> {
    /// Activation arena.
    pub activations: &'a [S],
    /// Cotangent arena.
    pub cotangents: &'a [S],
    /// Token ids `[T, N]`.
    pub ids: &'a [u32],
    /// Samples N.
    pub n: usize,
    /// The sites; neighbours that share `a` share its products.
    pub sites: Vec<SiteEntry>,
}

/// Memory of one task: the tile and two products, each at most 128 x 128.
pub struct Scratch<S> {
    /// The tile K[i, j], row-major with as many columns as the tile has.
    pub tile: Vec<S>,
    a: Vec<S>,
    b: Vec<S>,
}

impl<S: Scalar> Scratch<S> {
    /// Memory for tiles of any size.
    pub fn new() -> Self {
        let area = GRAM_TILE * GRAM_TILE;
        Self {
            tile: vec![S::ZERO; area],
            a: vec![S::ZERO; area],
            b: vec![S::ZERO; area],
        }
    }
}

/// A block of samples: the first and how many.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// First sample.
    pub start: usize,
    /// Samples.
    pub len: usize,
}

impl Block {
    /// The block of this number.
    pub fn new(number: usize, n: usize) -> Self {
        let start = number * GRAM_TILE;
        Self {
            start,
            len: GRAM_TILE.min(n - start),
        }
    }
}

/// All tiles on and above the diagonal, as block numbers (i, j) with i <= j.
pub fn upper_tiles(n: usize) -> Vec<(usize, usize)> {
    let side = n.div_ceil(GRAM_TILE);
    (0..side).flat_map(|i| (i..side).map(move |j| (i, j))).collect()
}

impl<S: Scalar> Sources<'_, S> {
    /// Fills `scratch.tile` with the products of block `i` with block `j`, sites ascending.
    pub fn tile(&self, i: Block, j: Block, scratch: &mut Scratch<S>) {
        scratch.tile[..i.len * j.len].fill(S::ZERO);
        let mut last_a = None;
        for (place, site) in self.sites.iter().enumerate() {
            match site.kind {
                SiteKind::Linear | SiteKind::LinearBias => {
                    for t in 0..site.positions {
                        for s in 0..site.positions {
                            let key = (site.a, site.d_in, t, s);
                            if last_a != Some(key) {
                                product(self.activations, site.a, site.d_in, (i, t), (j, s), &mut scratch.a);
                                last_a = Some(key);
                            }
                            product(self.cotangents, site.b, site.d_out, (i, t), (j, s), &mut scratch.b);
                            let bias = site.bias::<S>();
                            let area = i.len * j.len;
                            let factors = scratch.a[..area].iter().zip(&scratch.b[..area]);
                            let sums = scratch.tile[..area].iter_mut().zip(factors);
                            vectorised(|| sums.for_each(|(sum, (a, b))| *sum += (*a + bias) * *b));
                        }
                    }
                }
                SiteKind::Position | SiteKind::Materialised => {
                    let table = self.table_beside(place);
                    for t in 0..site.positions {
                        product(self.cotangents, site.b, site.d_out, (i, t), (j, t), &mut scratch.b);
                        match table {
                            Some(table) => self.add_with_equal_ids(table, t, i, j, scratch),
                            None => {
                                let area = i.len * j.len;
                                vectorised(|| add_scaled(&mut scratch.tile[..area], S::ONE, &scratch.b[..area]));
                            }
                        }
                    }
                }
                SiteKind::Embedding => {
                    let shared = self.sites.get(place + 1).is_some_and(|next| shares_b(site, next));
                    self.embedding(site, i, j, &mut scratch.tile, shared);
                }
            }
        }
    }

    /// The embedding whose cotangents the position site at `place` shares: it leaves equal positions to that site.
    fn table_beside(&self, place: usize) -> Option<&SiteEntry> {
        let before = self.sites.get(place.checked_sub(1)?)?;
        shares_b(before, &self.sites[place]).then_some(before)
    }

    /// tile += b * (1 + [id_i = id_j]), both tokens at position t: what position and embedding add.
    fn add_with_equal_ids(&self, table: &SiteEntry, t: usize, i: Block, j: Block, scratch: &mut Scratch<S>) {
        let area = i.len * j.len;
        let columns = self.ids_of(j, t);
        let rows = self.ids_of(i, t);
        debug_assert_eq!(table.kind, SiteKind::Embedding);
        let sums = scratch.tile[..area].chunks_exact_mut(j.len);
        let products = scratch.b[..area].chunks_exact(j.len);
        vectorised(
            #[inline(always)]
            || {
                for ((sums, products), own) in sums.zip(products).zip(rows) {
                    for ((sum, product), other) in sums.iter_mut().zip(products).zip(columns) {
                        let twice = if other == own { *product } else { S::ZERO };
                        *sum += *product + twice;
                    }
                }
            },
        );
    }

    /// Tokens of a block at one position.
    fn ids_of(&self, block: Block, t: usize) -> &[u32] {
        &self.ids[t * self.n + block.start..][..block.len]
    }

    /// Few pairs of tokens are equal, so only their products are formed; with `shared`, at different positions only.
    fn embedding(&self, site: &SiteEntry, i: Block, j: Block, tile: &mut [S], shared: bool) {
        for t in 0..site.positions {
            for s in (0..site.positions).filter(|s| !shared || *s != t) {
                let columns = self.ids_of(j, s);
                let shift = (t * site.id_step).wrapping_sub(s * site.id_step) as u32;
                for (row, sums) in tile[..i.len * j.len].chunks_exact_mut(j.len).enumerate() {
                    let own = self.ids_of(i, t)[row].wrapping_add(shift);
                    let b = site.b_row(self.cotangents, i.start + row, t);
                    for (column, sum) in sums.iter_mut().enumerate() {
                        if columns[column] == own {
                            let other = site.b_row(self.cotangents, j.start + column, s);
                            *sum += vectorised(
                                #[inline(always)]
                                || dot(b, other),
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Whether an embedding and the position site behind it have the same cotangents.
fn shares_b(table: &SiteEntry, position: &SiteEntry) -> bool {
    table.kind == SiteKind::Embedding
        && position.kind == SiteKind::Position
        && table.positions == position.positions
        && (table.b, table.d_out, table.id_step) == (position.b, position.d_out, 0)
}

/// out = rows of block i at position t times the transposed rows of block j at position s.
fn product<S: Scalar>(
    arena: &[S],
    [first, stride_n, stride_t]: [usize; 3],
    width: usize,
    (i, t): (Block, usize),
    (j, s): (Block, usize),
    out: &mut [S],
) {
    let rows = |block: Block, place: usize| {
        let start = first + block.start * stride_n + place * stride_t;
        let end = start + (block.len - 1) * stride_n + width;
        MatRef::from_row_major_slice_with_stride(&arena[start..end], block.len, width, stride_n)
    };
    matmul(
        MatMut::from_row_major_slice_mut(&mut out[..i.len * j.len], i.len, j.len),
        Accum::Replace,
        rows(i, t),
        rows(j, s).transpose(),
        S::ONE,
        Par::Seq,
    );
}
