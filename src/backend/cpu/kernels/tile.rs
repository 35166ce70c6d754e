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
        for site in &self.sites {
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
                    for t in 0..site.positions {
                        product(self.cotangents, site.b, site.d_out, (i, t), (j, t), &mut scratch.b);
                        let area = i.len * j.len;
                        vectorised(|| add_scaled(&mut scratch.tile[..area], S::ONE, &scratch.b[..area]));
                    }
                }
                SiteKind::Embedding => self.embedding(site, i, j, &mut scratch.tile),
            }
        }
    }

    /// Few pairs of tokens are equal, so only their products are formed.
    fn embedding(&self, site: &SiteEntry, i: Block, j: Block, tile: &mut [S]) {
        let id = |sample: usize, place: usize| self.ids[place * self.n + sample] as usize + place * site.id_step;
        for t in 0..site.positions {
            for s in 0..site.positions {
                for (row, sums) in tile[..i.len * j.len].chunks_exact_mut(j.len).enumerate() {
                    let own = id(i.start + row, t);
                    let b = site.b_row(self.cotangents, i.start + row, t);
                    vectorised(
                        #[inline(always)]
                        || {
                            for (column, sum) in sums.iter_mut().enumerate() {
                                if id(j.start + column, s) == own {
                                    *sum += dot(b, site.b_row(self.cotangents, j.start + column, s));
                                }
                            }
                        },
                    );
                }
            }
        }
    }
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
