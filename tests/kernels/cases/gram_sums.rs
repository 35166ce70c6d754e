//! The forms of a Gram matrix and their sums, from the matrix and from streamed tiles.

use gmatrix::plan::{GRAM_TILE, Kernel};

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Rng, exponents, filled, poison};
use crate::numbers::{Real, sum};

/// Numbers at the head of the sums, per form: trace, squared Frobenius norm, sum of squared diagonal entries, samples.
const PER_FORM: usize = 8;
const HEAD: usize = 32;

/// 2^-(e_i - e_0), e_0 the smallest exponent of the gradients that are not zero; 0 for those that are.
pub fn scales<T: Real>(exponent: &[u32], alive: &[bool]) -> Vec<T> {
    let pairs = || exponent.iter().map(|e| e.cast_signed()).zip(alive);
    let least = pairs().filter(|(_, alive)| **alive).map(|(e, _)| e).min().unwrap_or(0);
    let scale = |(e, alive): (i32, &bool)| if *alive { f64::from(least - e).exp2() } else { 0.0 };
    pairs().map(|pair| T::new(scale(pair))).collect()
}

/// Gradients `[N, 6]`: one in nine is zero, all lean to one side.
pub fn vectors(rng: &mut Rng, n: usize) -> Vec<Vec<f64>> {
    let row = |i: usize, rng: &mut Rng| -> Vec<f64> {
        let lean = |x: f64| if i % 9 == 4 { 0.0 } else { x + 0.2 };
        rng.normals(6).into_iter().map(lean).collect()
    };
    (0..n).map(|i| row(i, rng)).collect()
}

pub fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The least of some numbers, infinity where there are none.
fn least<T: Real>(values: impl Iterator<Item = T>) -> T {
    values
        .reduce(|a, b| if b < a { b } else { a })
        .unwrap_or(T::new(f64::INFINITY))
}

/// Head and diagonals of the three forms.
struct Sums<T> {
    forms: [(Vec<T>, T, T); 3],
    cosines: [T; 5],
}

impl<T: Real> Sums<T> {
    fn flat(self) -> Vec<T> {
        let mut out = vec![T::new(0.0); HEAD];
        for (form, (diagonal, frobenius2, samples)) in self.forms.iter().enumerate() {
            out[form * PER_FORM] = sum(diagonal.iter().copied());
            out[form * PER_FORM + 1] = *frobenius2;
            out[form * PER_FORM + 2] = sum(diagonal.iter().map(|d| *d * *d));
            out[form * PER_FORM + 3] = *samples;
        }
        out[24..29].copy_from_slice(&self.cosines);
        out[28] = out[0] / out[2 * PER_FORM];
        out.extend(self.forms.into_iter().flat_map(|(diagonal, _, _)| diagonal));
        out
    }
}

struct GramForms;

impl Oracle for GramForms {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n] = x.params();
        let gram = x.real::<T>("gram");
        let (zero, count) = (T::new(0.0), T::new(n as f64));
        let alive: Vec<bool> = (0..n).map(|i| gram[i * n + i] > zero).collect();
        let scale = scales::<T>(x.words("exponent"), &alive);
        let raw: Vec<T> = (0..n * n).map(|k| gram[k] * scale[k / n] * scale[k % n]).collect();
        let cosine: Vec<T> = (0..n * n)
            .map(|k| (k / n, k % n))
            .map(|(i, j)| match (alive[i] && alive[j], i == j) {
                (false, _) => zero,
                (true, true) => T::new(1.0),
                (true, false) => gram[i * n + j] / (gram[i * n + i].sqrt() * gram[j * n + j].sqrt()),
            })
            .collect();
        let means: Vec<T> = raw
            .chunks_exact(n)
            .map(|row| sum(row.iter().copied()) / count)
            .collect();
        let grand = sum(means.iter().copied()) / count;
        let centred: Vec<T> = (0..n * n)
            .map(|k| raw[k] - means[k / n] - means[k % n] + grand)
            .collect();
        let samples = T::new(alive.iter().filter(|a| **a).count() as f64);
        let form = |matrix: &[T], samples: T| {
            let positive = |d: T| if d > zero { d } else { zero };
            let diagonal: Vec<T> = (0..n).map(|i| positive(matrix[i * n + i])).collect();
            (diagonal, sum(matrix.iter().map(|x| *x * *x)), samples)
        };
        let pairs: Vec<T> = (0..n * n)
            .filter(|k| k / n < k % n && alive[k / n] && alive[k % n])
            .map(|k| cosine[k])
            .collect();
        let sums = Sums {
            forms: [form(&raw, count), form(&cosine, samples), form(&centred, count)],
            cosines: [
                sum(pairs.iter().copied()),
                T::new(pairs.len() as f64),
                least(pairs.iter().copied()),
                T::new(pairs.iter().filter(|c| **c < zero).count() as f64),
                zero,
            ],
        };
        Expected::new()
            .with("forms", [raw, cosine, centred].concat())
            .with("sums", sums.flat())
    }
}

pub fn gram_forms() -> Vec<Case> {
    let case = |n: usize| {
        let gram = filled(n * n, move |rng| {
            let g = vectors(rng, n);
            (0..n * n).map(|k| product(&g[k / n], &g[k % n])).collect()
        });
        let buffers = vec![gram, exponents(n), poison(3 * n * n), poison(HEAD + 3 * n)];
        Case::new(Kernel::GramForms, format!("n={n}"), &[], &[n], buffers, GramForms)
    };
    [1, 2, 31, 33, 97, 257].map(case).into()
}

const TILE: usize = 8 + 2 * GRAM_TILE;

/// Blocks of all tiles on and above the diagonal.
fn tiles_of(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let side = n.div_ceil(GRAM_TILE);
    (0..side).flat_map(move |i| (i..side).map(move |j| (i, j)))
}

struct GramSums;

impl Oracle for GramSums {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n] = x.params();
        let (tiles, norm) = (x.real::<T>("tiles"), x.real::<T>("norm"));
        let (zero, two, count) = (T::new(0.0), T::new(2.0), T::new(n as f64));
        let alive: Vec<bool> = norm.iter().map(|x| *x > zero).collect();
        let scale = scales::<T>(x.words("exponent"), &alive);
        let own: Vec<T> = norm.iter().zip(&scale).map(|(x, c)| *x * *c * *c).collect();
        let mut rows = own.clone();
        for (tile, (i, j)) in tiles.chunks_exact(TILE).zip(tiles_of(n)) {
            for (block, at) in [(i, 8), (j, 8 + GRAM_TILE)] {
                for k in block * GRAM_TILE..n.min((block + 1) * GRAM_TILE) {
                    rows[k] = rows[k] + tile[at + k % GRAM_TILE];
                }
            }
        }
        let head = |place: usize| tiles.chunks_exact(TILE).map(move |tile| tile[place]);
        let total = sum(rows.iter().copied());
        let samples = T::new(alive.iter().filter(|a| **a).count() as f64);
        let frobenius2 = two * sum(head(0)) + sum(own.iter().map(|d| *d * *d));
        let centre = |k: usize| {
            let d = own[k] - two * rows[k] / count + total / (count * count);
            if d > zero { d } else { zero }
        };
        let centred2 = frobenius2 - two / count * sum(rows.iter().map(|r| *r * *r)) + total * total / (count * count);
        let units = alive.iter().map(|a| if *a { T::new(1.0) } else { zero }).collect();
        let sums = Sums {
            forms: [
                (own.clone(), frobenius2, count),
                (units, two * sum(head(2)) + samples, samples),
                ((0..n).map(centre).collect(), centred2, count),
            ],
            cosines: [
                sum(head(1)),
                samples * (samples - T::new(1.0)) / two,
                least(head(3)),
                sum(head(4)),
                zero,
            ],
        };
        Expected::new().with("sums", sums.flat())
    }
}

/// What `gram_stream` makes of gradients.
fn stream(g: &[Vec<f64>], scale: &[f64]) -> Vec<f64> {
    let n = g.len();
    let mut tiles = Vec::new();
    for (row, column) in tiles_of(n) {
        let mut tile = vec![0.0; TILE];
        tile[3] = f64::INFINITY;
        for i in row * GRAM_TILE..n.min((row + 1) * GRAM_TILE) {
            for j in column * GRAM_TILE..n.min((column + 1) * GRAM_TILE) {
                let (k, length) = (product(&g[i], &g[j]), product(&g[i], &g[i]) * product(&g[j], &g[j]));
                if i >= j {
                    continue;
                }
                let raw = k * scale[i] * scale[j];
                tile[0] += raw * raw;
                tile[8 + i % GRAM_TILE] += raw;
                tile[8 + GRAM_TILE + j % GRAM_TILE] += raw;
                if length > 0.0 {
                    let cosine = k / length.sqrt();
                    tile[1] += cosine;
                    tile[2] += cosine * cosine;
                    tile[3] = f64::min(tile[3], cosine);
                    tile[4] += f64::from(u8::from(cosine < 0.0));
                }
            }
        }
        tiles.extend(tile);
    }
    tiles
}

pub fn gram_sums() -> Vec<Case> {
    let case = |n: usize| {
        // All three buffers are made of the same gradients, whatever the slot.
        let exponent: Vec<u32> = Rng::new(70).exponents(n);
        let g = vectors(&mut Rng::new(71), n);
        let norms: Vec<f64> = g.iter().map(|row| product(row, row)).collect();
        let alive: Vec<bool> = norms.iter().map(|x| *x > 0.0).collect();
        let scale = scales::<f64>(&exponent, &alive);
        let tiles = stream(&g, &scale);
        let buffers = vec![
            filled(tiles.len(), move |_| tiles.clone()),
            filled(n, move |_| norms.clone()),
            crate::fill::filled_words(n, move |_| exponent.clone()),
            poison(HEAD + 3 * n),
        ];
        Case::new(Kernel::GramSums, format!("n={n}"), &[], &[n], buffers, GramSums)
    };
    [1, 2, 31, 129, 257].map(case).into()
}
