//! Norms and inner products of per-sample gradients from sites, against gradients that are really formed.

use gmatrix::backend::Values;
use gmatrix::plan::{Access, Arena, GRAM_TILE, Kernel};

use super::gram_sums::scales;
use super::sites::{Spec, case, gradients, product, sets};
use crate::case::{Buf, Case, Data, Expected, Oracle};
use crate::fill::Rng;
use crate::numbers::Real;

fn output(name: &str, arena: Arena, len: usize) -> Buf {
    Buf {
        name: name.into(),
        arena,
        len,
        access: Access::Write,
        fill: Box::new(move |_| Values::Numbers(vec![f64::NAN; len])),
    }
}

struct SampleNorms(Vec<Spec>);

impl Oracle for SampleNorms {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        Expected::new().with(
            "norm",
            gradients::<T>(x, &self.0).iter().map(|g| product(g, g)).collect(),
        )
    }
}

/// All sets of sites with each number of samples; an activation arena that is never empty.
fn all(make: impl Fn(usize, &str, Vec<Spec>) -> Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for (k, (name, specs)) in sets().into_iter().enumerate() {
        // Beyond one tile for one set of all kinds, the rest in turn.
        let sizes: &[usize] = match k {
            0 | 6 => &[1, 31, 129, 257],
            _ if k % 2 == 0 => &[1, 129],
            _ => &[31],
        };
        cases.extend(sizes.iter().map(|n| make(*n, &name, specs.clone())));
    }
    cases
}

pub fn sample_norms() -> Vec<Case> {
    all(|n, name, specs| {
        let out = output("norm", Arena::WideScratch, n);
        case(
            Kernel::SampleNorms,
            n,
            name,
            specs.clone(),
            vec![out],
            SampleNorms(specs),
        )
    })
}

struct GramTile(Vec<Spec>);

impl Oracle for GramTile {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let g = gradients::<T>(x, &self.0);
        let gram = g.iter().flat_map(|a| g.iter().map(|b| product(a, b))).collect();
        Expected::new().with("gram", gram)
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        let (n, gram) = (x.params::<2>()[0], x.plain_after("gram"));
        let mirrored = |i: usize, j: usize| gram[i * n + j].to_bits() == gram[j * n + i].to_bits();
        // Within a tile on the diagonal both halves are computed; beyond it one is the other's mirror image.
        let wrong = (0..n * n).find(|k| (k / n) / GRAM_TILE != (k % n) / GRAM_TILE && !mirrored(k / n, k % n));
        wrong.map_or(Ok(()), |k| Err(format!("K[{}, {}] is not mirrored", k / n, k % n)))
    }
}

pub fn gram_tile() -> Vec<Case> {
    all(|n, name, specs| {
        let out = output("gram", Arena::Scratch, n * n);
        case(Kernel::GramTile, n, name, specs.clone(), vec![out], GramTile(specs))
    })
}

struct GramStream(Vec<Spec>);

/// Numbers of one tile: five sums at the head, row sums from 8 on, column sums behind them.
const TILE: usize = 8 + 2 * GRAM_TILE;

impl Oracle for GramStream {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let g = gradients::<T>(x, &self.0);
        let n = g.len();
        let norm = x.real::<T>("norm");
        let exponent = x.words("exponent");
        let alive: Vec<bool> = norm.iter().map(|x| *x > T::new(0.0)).collect();
        let scale = scales::<T>(exponent, &alive);
        let zero = T::new(0.0);
        let side = n.div_ceil(GRAM_TILE);
        let mut tiles = Vec::new();
        for (row, column) in (0..side).flat_map(|i| (i..side).map(move |j| (i, j))) {
            let mut tile = vec![zero; TILE];
            let mut smallest: Option<T> = None;
            let block = |k: usize| k * GRAM_TILE..n.min((k + 1) * GRAM_TILE);
            for i in block(row) {
                for j in block(column).filter(|j| i < *j) {
                    let k = product(&g[i], &g[j]);
                    let raw = k * scale[i] * scale[j];
                    tile[0] = tile[0] + raw * raw;
                    tile[8 + i % GRAM_TILE] = tile[8 + i % GRAM_TILE] + raw;
                    let at = 8 + GRAM_TILE + j % GRAM_TILE;
                    tile[at] = tile[at] + raw;
                    if norm[i] > zero && norm[j] > zero {
                        let cosine = k / (norm[i].sqrt() * norm[j].sqrt());
                        tile[1] = tile[1] + cosine;
                        tile[2] = tile[2] + cosine * cosine;
                        smallest = Some(smallest.map_or(cosine, |s| if cosine < s { cosine } else { s }));
                        tile[4] = tile[4] + T::new(f64::from(u8::from(cosine < zero)));
                    }
                }
            }
            tile[3] = smallest.unwrap_or(T::new(f64::INFINITY));
            tiles.extend(tile);
        }
        Expected::new().with("tiles", tiles)
    }
}

pub fn gram_stream() -> Vec<Case> {
    all(|n, name, specs| {
        let side = n.div_ceil(GRAM_TILE);
        // Norms need not be those of the sites; some samples have none.
        let norms = move |rng: &mut Rng| {
            (0..n)
                .map(|i| if i % 9 == 4 { 0.0 } else { rng.uniform(0.1, 9.0) })
                .collect()
        };
        let extra = vec![
            Buf {
                name: "norm".into(),
                arena: Arena::WideScratch,
                len: n,
                access: Access::Read,
                fill: Box::new(move |rng| Values::Numbers(norms(rng))),
            },
            Buf {
                name: "exponent".into(),
                arena: Arena::Words,
                len: n,
                access: Access::Read,
                fill: Box::new(move |rng| Values::Words(rng.exponents(n))),
            },
            output("tiles", Arena::WideScratch, side * (side + 1) / 2 * TILE),
        ];
        case(Kernel::GramStream, n, name, specs.clone(), extra, GramStream(specs))
    })
}
