//! Sites: where a parameter meets its captured input and the cotangent of its output.
//!
//! The gradient of sample i at a linear site is `sum_t a_it^T b_it`, so norms and inner products of per-sample
//! gradients follow from `a` and `b` without a gradient in memory:
//! `<g_i, g_j> = sum_{t,s} (a_it . a_js (+ 1 with a bias)) (b_it . b_js)`.

use super::buffer::View;

/// How a parameter is used, which decides how its part of the Gram matrix is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SiteKind {
    /// `y = a W`
    Linear,
    /// `y = a W + bias`
    LinearBias,
    /// `y = W[id]`: `sum_{t,s} [id_it = id_js] (b_it . b_js)`
    Embedding,
    /// `y = W[t]`: `sum_t b_it . b_jt`
    Position,
    /// The per-sample gradients themselves stand in `b`: `b_i . b_j`
    Materialised,
}

impl SiteKind {
    /// Its number on device.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The kind of this number.
    pub fn from_code(code: u32) -> Option<Self> {
        [
            Self::Linear,
            Self::LinearBias,
            Self::Embedding,
            Self::Position,
            Self::Materialised,
        ]
        .get(code as usize)
        .copied()
    }
}

/// Rows of a matrix that are spread over an arena: row (n, t) starts `n * stride_n + t * stride_t` elements behind the
/// start of the view. A `stride_t` of 0 means that all positions share a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strided {
    /// Where the rows lie.
    pub view: View,
    /// Elements from one sample to the next.
    pub stride_n: usize,
    /// Elements from one position to the next.
    pub stride_t: usize,
}

/// A parameter (or a weight with its bias) at the place where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name, as `blocks.0.attn.W_KV`.
    pub name: String,
    /// How the parameter is used.
    pub kind: SiteKind,
    /// Positions at which the cotangent may differ from zero.
    pub positions: usize,
    /// Width of `a`; 0 where there is none.
    pub d_in: usize,
    /// Width of `b`.
    pub d_out: usize,
    /// Captured input (linear kinds).
    pub a: Option<Strided>,
    /// Cotangent of the output, of the sum of the per-sample functions, scaled per sample by a power of two.
    pub b: Strided,
    /// Token ids `[T, N]` (embeddings), with what to add per position: the row looked up is `id + t * id_step`.
    pub ids: Option<(View, usize)>,
    /// Index of the weight in the layout's tensors (absent for user-supplied sites).
    pub weight: Option<usize>,
    /// Index of the bias.
    pub bias: Option<usize>,
}

impl Site {
    /// Words of one entry of a site table on device.
    pub const WORDS: usize = 12;

    /// Parameters it covers per sample gradient.
    pub fn parameters(&self, rows_of_table: usize) -> usize {
        match self.kind {
            SiteKind::Linear => self.d_in * self.d_out,
            SiteKind::LinearBias => (self.d_in + 1) * self.d_out,
            SiteKind::Embedding | SiteKind::Position => rows_of_table * self.d_out,
            SiteKind::Materialised => self.d_out,
        }
    }
}
