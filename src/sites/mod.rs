//! Statistics of captured activations and cotangents of any network: the sites of a program that is not this one.
//!
//! A parameter is used at a *site*. Where it meets an input `a [N, T, d_in]` and its output has the cotangent
//! `b [N, T, d_out]`, the gradient of sample i is `sum_t a_it b_it^T`, so `a` and `b` are all that norms, coherence,
//! noise, the Gram matrix and its ranks need. `b` is the gradient of the **sum** of the samples' losses (never of their
//! mean) with respect to the output, so that row i is about sample i alone. T is the number of positions: the tokens of
//! a sequence, or 1.
//!
//! | kind | is used as | what is captured |
//! |---|---|---|
//! | linear | `y = x W` | `a [N, T, d_in]`, `b [N, T, d_out]` |
//! | linear with bias | `y = x W + c` | the same |
//! | embedding | `y = W[id]` | `ids [N, T]`, `b [N, T, d_out]` |
//! | materialised | anything | the per-sample gradients `g [N, …]` themselves |
//!
//! A parameter that is used twice (tied weights, a layer called in a loop) is **one** site whose positions are those of
//! both uses, one behind the other; as two sites its cross terms would be missing. P, on which the nulls of the ranks
//! depend, is what the sites' shapes say: give all sites of a network, or know that it is about the given ones.
//!
//! # Example
//!
//! Four samples of a linear layer with three inputs and two outputs. The first two have the same gradient, the others
//! are orthogonal to it and to each other.
//!
//! ```
//! use gmatrix::sites::{Request, Sites};
//!
//! # fn main() -> gmatrix::Result<()> {
//! let a = [[1., 0., 0.], [1., 0., 0.], [0., 1., 0.], [0., 0., 1.]];
//! let b = [[1., 0.], [1., 0.], [1., 0.], [0., 1.]];
//! let mut sites = Sites::new(4)?;
//! sites.linear("layer", a.as_flattened(), 3, b.as_flattened(), 2)?;
//! let found = sites.statistics(&Request::default())?;
//! assert_eq!(found.scalars["parameters"], Some(6.0));
//! assert!((found.scalars["raw.participation_ratio"].unwrap() - 16.0 / 6.0).abs() < 1e-12);
//! assert!((found.scalars["coherence"].unwrap() - 6.0 / 16.0).abs() < 1e-12);
//! # Ok(())
//! # }
//! ```
//!
//! The same from a file that any framework can write: [`Sites::read`] and `gmatrix gram --sites`; its format stands in
//! `docs/files.md`.

mod lay_out;
mod read;
mod statistics;

pub use statistics::{Request, Statistics};

use crate::error::{Error, Result};

/// Captured sites of N samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Sites {
    n: usize,
    sites: Vec<Captured>,
}

/// One site.
#[derive(Debug, Clone, PartialEq)]
struct Captured {
    name: String,
    /// T.
    positions: usize,
    /// Width of `b`, or numbers of one materialised gradient.
    d_out: usize,
    /// Cotangents `[N, T, d_out]`, or the gradients `[N, d_out]`.
    b: Vec<f64>,
    input: Input,
}

/// What a parameter meets at a site.
#[derive(Debug, Clone, PartialEq)]
enum Input {
    /// `a [N, T, d_in]`.
    Linear { a: Vec<f64>, d_in: usize, bias: bool },
    /// `ids [N, T]` into a table of so many rows.
    Embedding { ids: Vec<u32>, rows: usize },
    /// Nothing: `b` holds the gradients.
    Materialised,
}

/// Kernels take sizes and offsets as u32.
const LARGEST: usize = u32::MAX as usize;

impl Sites {
    /// No sites yet, of `n` samples.
    ///
    /// # Errors
    /// [`Shape`](crate::ErrorKind::Shape) if `n` is 0 or exceeds 32 bits.
    pub fn new(n: usize) -> Result<Self> {
        if n == 0 || n > LARGEST {
            return Err(Error::shape(format!("{n} samples, expected 1 to {LARGEST}")));
        }
        Ok(Self { n, sites: Vec::new() })
    }

    /// Adds `y = x W`, with inputs `a [N, T, d_in]` and cotangents `b [N, T, d_out]`, row-major.
    ///
    /// # Errors
    /// [`Shape`](crate::ErrorKind::Shape) if the lengths do not fit together, [`Numeric`](crate::ErrorKind::Numeric) if
    /// a number is not finite, [`Config`](crate::ErrorKind::Config) if there is a site of this name.
    pub fn linear<F>(&mut self, name: &str, a: &[F], d_in: usize, b: &[F], d_out: usize) -> Result<()>
    where
        F: Copy + Into<f64>,
    {
        self.any_linear(name, (wide(a), d_in), (wide(b), d_out), false)
    }

    /// Adds `y = x W + c`; as [`Sites::linear`].
    ///
    /// # Errors
    /// As [`Sites::linear`].
    pub fn linear_bias<F>(&mut self, name: &str, a: &[F], d_in: usize, b: &[F], d_out: usize) -> Result<()>
    where
        F: Copy + Into<f64>,
    {
        self.any_linear(name, (wide(a), d_in), (wide(b), d_out), true)
    }

    /// Adds `y = W[id]`, with `ids [N, T]` and cotangents `b [N, T, d_out]`, row-major. The table has `rows` rows: if
    /// not given, the largest id plus one. Rows that no sample looks up count in P, and nowhere else.
    ///
    /// # Errors
    /// As [`Sites::linear`]; or if an id is not below `rows`.
    pub fn embedding<F>(&mut self, name: &str, ids: &[u32], b: &[F], d_out: usize, rows: Option<usize>) -> Result<()>
    where
        F: Copy + Into<f64>,
    {
        let positions = self.positions(name, "ids", ids.len(), 1)?;
        let b = wide(b);
        self.check(name, "b", &b, positions, d_out)?;
        let needed = ids.iter().max().map_or(0, |id| *id as usize + 1);
        let rows = rows.unwrap_or(needed);
        if needed > rows {
            let largest = needed - 1;
            return Err(Error::shape(format!(
                "site {name}: ids hold {largest}, expected below {rows}, the rows of the table"
            )));
        }
        let ids = ids.to_vec();
        self.push(name, positions, d_out, b, Input::Embedding { ids, rows })
    }

    /// Adds a parameter by its per-sample gradients `g [N, …]`, row-major.
    ///
    /// # Errors
    /// As [`Sites::linear`].
    pub fn materialised<F>(&mut self, name: &str, g: &[F]) -> Result<()>
    where
        F: Copy + Into<f64>,
    {
        let size = self.positions(name, "g", g.len(), 1)?;
        let g = wide(g);
        self.check(name, "g", &g, 1, size)?;
        self.push(name, 1, size, g, Input::Materialised)
    }

    /// Samples N.
    pub fn samples(&self) -> usize {
        self.n
    }

    /// P: parameters that the sites have.
    pub fn parameters(&self) -> usize {
        let of_site = |site: &Captured| match &site.input {
            Input::Linear { d_in, bias, .. } => (d_in + usize::from(*bias)).saturating_mul(site.d_out),
            Input::Embedding { rows, .. } => rows.saturating_mul(site.d_out),
            Input::Materialised => site.d_out,
        };
        self.sites.iter().map(of_site).fold(0, usize::saturating_add)
    }

    fn any_linear(
        &mut self,
        name: &str,
        (a, d_in): (Vec<f64>, usize),
        (b, d_out): (Vec<f64>, usize),
        bias: bool,
    ) -> Result<()> {
        let positions = self.positions(name, "a", a.len(), d_in)?;
        self.check(name, "a", &a, positions, d_in)?;
        self.check(name, "b", &b, positions, d_out)?;
        self.push(name, positions, d_out, b, Input::Linear { a, d_in, bias })
    }

    /// T, from the length of `[N, T, width]`.
    fn positions(&self, name: &str, part: &str, len: usize, width: usize) -> Result<usize> {
        let row = self.n.saturating_mul(width);
        if row == 0 || len == 0 || !len.is_multiple_of(row) {
            return Err(Error::shape(format!(
                "site {name}: {part} has {len} numbers, expected a multiple of {} samples x {width}, and at least one",
                self.n
            )));
        }
        Ok(len / row)
    }

    /// Whether values are `[N, T, width]` and finite.
    fn check(&self, name: &str, part: &str, values: &[f64], positions: usize, width: usize) -> Result<()> {
        let expected = self.n.saturating_mul(positions).saturating_mul(width);
        if values.len() != expected || expected == 0 {
            return Err(Error::shape(format!(
                "site {name}: {part} has {} numbers, expected {} samples x {positions} positions x {width}",
                values.len(),
                self.n
            )));
        }
        if expected > LARGEST {
            return Err(Error::shape(format!(
                "site {name}: {part} has {expected} numbers, expected at most {LARGEST}"
            )));
        }
        match values.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(Error::numeric(format!(
                "site {name}: number {at} of {part} is {}, expected a finite number",
                values[at]
            ))),
            None => Ok(()),
        }
    }

    fn push(&mut self, name: &str, positions: usize, d_out: usize, b: Vec<f64>, input: Input) -> Result<()> {
        if self.sites.iter().any(|site| site.name == name) {
            return Err(Error::config(format!("site {name}: stands there twice")));
        }
        self.sites.push(Captured {
            name: name.to_owned(),
            positions,
            d_out,
            b,
            input,
        });
        Ok(())
    }
}

fn wide<F: Copy + Into<f64>>(values: &[F]) -> Vec<f64> {
    values.iter().map(|x| (*x).into()).collect()
}
