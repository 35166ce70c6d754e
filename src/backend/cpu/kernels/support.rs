//! What several kernels share: row views over spread-out memory, dot products, and vector code chosen at run time.

use std::marker::PhantomData;
use std::ops::Range;

use crate::backend::cpu::Scalar;
use crate::plan::{Site, SiteKind};

/// Rows of samples that one task handles: fixed, so that nothing depends on the number of threads.
pub const SAMPLES: usize = 64;

/// Elements that one task handles in element-wise kernels.
pub const ELEMENTS: usize = 16_384;

/// Runs a loop with the widest vectors of this machine. The loop must be inlined all the way into the closure.
#[inline]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The regions that meet the `len` elements from `first` on, each with its places among them; `ends` says where each ends.
pub fn within(first: usize, len: usize, ends: &[u32]) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
    let mut start = 0;
    ends.iter().enumerate().filter_map(move |(region, end)| {
        let end = (*end as usize).saturating_sub(first).min(len);
        let places = start..end;
        start = start.max(end);
        (!places.is_empty()).then_some((region, places))
    })
}

/// Dot product with sixteen running sums, added in a fixed tree.
#[inline(always)]
pub fn dot<S: Scalar>(x: &[S], y: &[S]) -> S {
    const LANES: usize = 16;
    let mut sums = [S::ZERO; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut tail = S::ZERO;
    for (a, b) in x_chunks.remainder().iter().zip(y_chunks.remainder()) {
        tail += *a * *b;
    }
    for (a, b) in x_chunks.zip(y_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            let other = sums[lane + width];
            sums[lane] += other;
        }
        width /= 2;
    }
    sums[0] + tail
}

/// Dot product summed in f64, with eight running sums.
#[inline(always)]
pub fn dot_wide<S: Scalar>(x: &[S], y: &[S]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let mut tail = 0.0;
    for (a, b) in x_chunks.remainder().iter().zip(y_chunks.remainder()) {
        tail += a.to_f64() * b.to_f64();
    }
    for (a, b) in x_chunks.zip(y_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane].to_f64() * b[lane].to_f64();
        }
    }
    sums.iter().sum::<f64>() + tail
}

/// y += factor * x
#[inline(always)]
pub fn add_scaled<S: Scalar>(y: &mut [S], factor: S, x: &[S]) {
    for (to, from) in y.iter_mut().zip(x) {
        *to += factor * *from;
    }
}

/// Mutable memory whose rows several tasks write, each its own.
pub struct Rows<'a, S> {
    pointer: *mut S,
    len: usize,
    lifetime: PhantomData<&'a mut [S]>,
}

// SAFETY: a Rows hands out memory only through `part`, whose caller promises disjointness.
unsafe impl<S: Send> Sync for Rows<'_, S> {}

impl<'a, S> Rows<'a, S> {
    /// All of this memory.
    pub fn new(memory: &'a mut [S]) -> Self {
        Self {
            pointer: memory.as_mut_ptr(),
            len: memory.len(),
            lifetime: PhantomData,
        }
    }

    /// `len` elements from `start`.
    ///
    /// # Safety
    /// While the result lives, nobody else may hold a part that overlaps it.
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's promise")]
    pub unsafe fn part(&self, start: usize, len: usize) -> &mut [S] {
        assert!(start + len <= self.len, "part {start}+{len} of {}", self.len);
        // SAFETY: within the memory, and disjoint from all other parts by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), len) }
    }
}

/// One entry of a site table, as `PlanBuilder` writes it.
#[derive(Debug, Clone, Copy)]
pub struct SiteEntry {
    /// How the parameter is used.
    pub kind: SiteKind,
    /// Positions T.
    pub positions: usize,
    /// Width of a.
    pub d_in: usize,
    /// Width of b.
    pub d_out: usize,
    /// First element, stride over samples and stride over positions of a.
    pub a: [usize; 3],
    /// The same of b.
    pub b: [usize; 3],
    /// What to add to an id per position.
    pub id_step: usize,
}

impl SiteEntry {
    /// All entries of a table.
    pub fn read(words: &[u32]) -> Vec<Self> {
        words
            .chunks_exact(Site::WORDS)
            .map(|entry| {
                let at = |place: usize| entry[place] as usize;
                Self {
                    kind: SiteKind::from_code(entry[0]).expect("a table written by PlanBuilder"),
                    positions: at(1),
                    d_in: at(2),
                    d_out: at(3),
                    a: [at(4), at(5), at(6)],
                    b: [at(7), at(8), at(9)],
                    id_step: at(10),
                }
            })
            .collect()
    }

    /// Row (n, t) of a.
    #[inline(always)]
    pub fn a_row<'a, S>(&self, arena: &'a [S], n: usize, t: usize) -> &'a [S] {
        &arena[self.a[0] + n * self.a[1] + t * self.a[2]..][..self.d_in]
    }

    /// Row (n, t) of b.
    #[inline(always)]
    pub fn b_row<'a, S>(&self, arena: &'a [S], n: usize, t: usize) -> &'a [S] {
        &arena[self.b[0] + n * self.b[1] + t * self.b[2]..][..self.d_out]
    }

    /// What the product of two rows of `a` is multiplied with lacks: 1 for the bias.
    pub fn bias<S: Scalar>(&self) -> S {
        if self.kind == SiteKind::LinearBias {
            S::ONE
        } else {
            S::ZERO
        }
    }
}

/// 2^-exponent, with the exponent as two's complement.
#[inline(always)]
pub fn unscale<S: Scalar>(exponent: u32) -> S {
    S::exp2i(-exponent.cast_signed())
}
