//! Sketches of gradients, and averages over a stream of minibatches.

use gmatrix::backend::Values;
use gmatrix::plan::{Access, Arena, Kernel, Segment, SiteKind, control};
use gmatrix::random::{Purpose, Stream};

use super::gradients::unscale;
use super::gram_sums::scales;
use super::ranks::{entropy_rank, jacobi};
use super::sites::{Spec, case, sets};
use crate::case::{Buf, Case, Data, Expected, Oracle};
use crate::fill::{Rng, filled, filled_words, poison};
use crate::numbers::{Real, sum};

const SIDE: usize = 8;
const AREA: usize = SIDE * SIDE;

fn block(seed: [u32; 2], step: u32) -> Values {
    let mut block = vec![0; control::WORDS];
    block[control::ACTIVE] = 1;
    block[control::due(Segment::Step)] = 1;
    [block[control::SEED_LOW], block[control::SEED_HIGH]] = seed;
    block[control::STEP] = step;
    Values::Words(block)
}

struct Sketch(Vec<Spec>);

impl Oracle for Sketch {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, _] = x.params();
        let words = x.words("block");
        let seed = u64::from(words[control::SEED_LOW]) + (u64::from(words[control::SEED_HIGH]) << 32);
        let step = u64::from(words[control::STEP]);
        let size = T::new(1.0) / T::new(SIDE as f64).sqrt();
        let sign = |sub: usize, word: u64, row: usize| {
            let bits = Stream::new(seed, Purpose::Sketch).substream(sub as u32).bits(word);
            if bits >> row & 1 == 1 { size } else { -size }
        };
        let mut out = vec![T::new(0.0); n * 2 * AREA];
        let mut a = Vec::new();
        for (place, spec) in self.0.iter().enumerate() {
            if spec.d_in > 0 && !spec.shares_a {
                a = x.real::<T>(&format!("a{place}"));
            }
            let b = x.real::<T>(&format!("b{place}"));
            let (b_n, b_t, _) = spec.b.layout(n, spec.t, spec.d_out);
            let (a_n, a_t, _) = spec.a.layout(n, spec.t, spec.d_in);
            for (sample, out) in out.chunks_exact_mut(2 * AREA).enumerate() {
                for (copy, t) in (0..2).flat_map(|copy| (0..spec.t).map(move |t| (copy, t))) {
                    let sub = 4 * place + 2 * copy;
                    let width = spec.d_out as u64;
                    let left = |row: usize| {
                        let b = &b[sample * b_n + t * b_t..][..spec.d_out];
                        sum((0..spec.d_out).map(|k| sign(sub, step * width + k as u64, row) * b[k]))
                    };
                    let right = |row: usize| match spec.kind {
                        SiteKind::Linear | SiteKind::LinearBias => {
                            let bias = spec.kind == SiteKind::LinearBias;
                            let width = spec.d_in + usize::from(bias);
                            let word = |k: usize| step * width as u64 + k as u64;
                            let a = &a[sample * a_n + t * a_t..][..spec.d_in];
                            let product = sum((0..spec.d_in).map(|k| sign(sub + 1, word(k), row) * a[k]));
                            if bias {
                                product + sign(sub + 1, word(spec.d_in), row)
                            } else {
                                product
                            }
                        }
                        SiteKind::Embedding => {
                            let id = u64::from(x.words("ids")[t * n + sample]) + (t * spec.step) as u64;
                            sign(sub + 1, (step << 32) + id, row)
                        }
                        SiteKind::Position | SiteKind::Materialised => sign(sub + 1, (step << 32) + t as u64, row),
                    };
                    let (left, right): (Vec<T>, Vec<T>) = (0..SIDE).map(|row| (left(row), right(row))).unzip();
                    for k in 0..AREA {
                        let to = &mut out[copy * AREA + k];
                        *to = *to + left[k / SIDE] * right[k % SIDE];
                    }
                }
            }
        }
        Expected::new().with("sketch", out)
    }
}

pub fn sketch() -> Vec<Case> {
    let mut cases = Vec::new();
    for (k, (name, specs)) in sets().into_iter().enumerate() {
        let sizes: &[usize] = if k == 6 { &[1, 31, 129] } else { &[33] };
        for n in sizes {
            let len = n * 2 * AREA;
            let out = Buf {
                name: "sketch".into(),
                arena: Arena::Scratch,
                len,
                access: Access::Write,
                fill: Box::new(move |_| Values::Numbers(vec![f64::NAN; len])),
            };
            let case = case(
                Kernel::Sketch,
                *n,
                &name,
                specs.clone(),
                vec![out],
                Sketch(specs.clone()),
            );
            let block = move |rng: &mut Rng| block([rng.below(u32::MAX), rng.below(u32::MAX)], 70_001 * k as u32);
            cases.push(case.beside("block", Arena::Control, control::WORDS, Box::new(block)));
        }
    }
    cases
}

/// Batches of a window, and sums of each.
const BATCHES: usize = 16;
const WIDTH: usize = 8;

struct Averages;

/// Ratios of sums: participation ratio, coherence, noise scale, mean product.
fn ratios<T: Real>(sums: &[T]) -> [T; 4] {
    let over = |x: usize, y: usize| {
        if sums[y] > T::new(0.0) {
            sums[x] / sums[y]
        } else {
            T::new(f64::NAN)
        }
    };
    [over(1, 2), over(3, 0), over(4, 3), over(5, 0)]
}

impl Oracle for Averages {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, window] = x.params();
        let step = x.words("block")[control::STEP] as usize;
        let (zero, null, one) = (T::new(0.0), T::new(f64::NAN), T::new(1.0));
        let mut state = x.real::<T>("state");
        let mut columns = vec![null; 11];
        if step.is_multiple_of(window) {
            if step > 0 {
                let rows: Vec<&[T]> = state.chunks(WIDTH).filter(|row| row[0] > zero).collect();
                let total = |k: usize| sum(rows.iter().map(|row| row[k]));
                let all: Vec<T> = (0..WIDTH).map(total).collect();
                let left_out = |row: &&[T]| ratios(&(0..WIDTH).map(|k| all[k] - row[k]).collect::<Vec<_>>());
                let without: Vec<[T; 4]> = rows.iter().map(left_out).collect();
                let count = T::new(rows.len() as f64);
                columns[0] = all[0];
                for (k, ratio) in ratios(&all).into_iter().enumerate() {
                    let mean = sum(without.iter().map(|x| x[k])) / count;
                    let squares = sum(without.iter().map(|x| (x[k] - mean) * (x[k] - mean)));
                    columns[1 + 2 * k] = ratio;
                    columns[2 + 2 * k] = ((count - one) / count * squares).sqrt();
                }
                columns[9] = all[6] / all[0];
                columns[10] = T::new(AREA as f64);
            }
            state.fill(zero);
        }
        let norm = x.real::<T>("norm");
        let alive: Vec<bool> = norm.iter().map(|d| *d > zero).collect();
        if alive.contains(&true) {
            let exponent = x.words("exponent");
            let scale = scales::<T>(exponent, &alive);
            let count = T::new(n as f64);
            let own: Vec<T> = norm.iter().zip(&scale).map(|(d, c)| *d * *c * *c).collect();
            let unit = sum(own.iter().copied()) / count;
            let sketch = x.real::<T>("sketch");
            let row = |sample: usize, copy: usize| {
                let row = &sketch[(2 * sample + copy) * AREA..][..AREA];
                row.iter().map(|x| *x * scale[sample]).collect::<Vec<T>>()
            };
            let rows: [Vec<Vec<T>>; 2] = [0, 1].map(|copy| (0..n).map(|k| row(k, copy)).collect());
            let product =
                |copy: usize, i: usize, j: usize| sum(rows[copy][i].iter().zip(&rows[copy][j]).map(|(x, y)| *x * *y));
            let pairs: Vec<(usize, usize)> = (0..n * n).map(|k| (k / n, k % n)).filter(|(i, j)| i != j).collect();
            let per_pair = T::new(pairs.len() as f64);
            let levels = sum(pairs.iter().map(|(i, j)| own[*i] * own[*j])) / per_pair / unit / unit;
            let squares = sum(pairs.iter().map(|(i, j)| product(0, *i, *j) * product(1, *i, *j)));
            let real = norm.iter().zip(exponent).map(|(d, e)| {
                let factor = T::new(unscale(*e));
                *d * factor * factor
            });
            let real = sum(real);
            let total = x.real::<T>("square")[0] * count * count;
            let mean = (total - real) / real / (count - one);
            let moment: Vec<T> = (0..AREA * AREA)
                .map(|k| sum(rows[0].iter().map(|row| row[k / AREA] * row[k % AREA])))
                .collect();
            let values = jacobi(&moment, AREA);
            let roots: Vec<T> = values.iter().map(|l| if *l > zero { l.sqrt() } else { zero }).collect();
            let terms = [
                one,
                levels,
                squares / per_pair / unit / unit,
                mean,
                (count - total / real) / (count - one),
                (total - real) / per_pair,
                entropy_rank(&roots),
                zero,
            ];
            let batch = step % window * BATCHES / window;
            for (to, term) in state[batch * WIDTH..][..WIDTH].iter_mut().zip(terms) {
                *to = *to + term;
            }
        }
        Expected::new().with("state", state).with("columns", columns)
    }
}

pub fn stream() -> Vec<Case> {
    let case = |n: usize, window: usize, step: u32, alive: bool| {
        let sketch = filled(n * 2 * AREA, move |rng| rng.normals(n * 2 * AREA));
        let norm = move |rng: &mut Rng| -> Vec<f64> {
            let level = |i: usize, x: f64| if i % 9 == 4 || !alive { 0.0 } else { x };
            (0..n).map(|i| level(i, rng.uniform(0.1, 9.0))).collect()
        };
        // Exponents of one sign, so that no pair's product is lost beside the largest.
        let exponent = filled_words(n, move |rng| rng.words(n, 3));
        let state = filled(BATCHES * WIDTH, |rng| {
            let place = |k: usize, x: f64| match k % WIDTH {
                0 => 4.0,
                7 => 0.0,
                _ => x,
            };
            (0..BATCHES * WIDTH).map(|k| place(k, rng.uniform(0.5, 2.0))).collect()
        });
        let square = filled(1, |rng| vec![rng.uniform(0.5, 2.0)]);
        let buffers = vec![sketch, filled(n, norm), exponent, square, state, poison(11)];
        let name = format!("n={n} window={window} step={step} alive={alive}");
        Case::new(Kernel::Stream, name, &[], &[n, window], buffers, Averages)
            .looser(256.0, "eigenvalues of a singular matrix count by their roots")
            .beside(
                "block",
                Arena::Control,
                control::WORDS,
                Box::new(move |_| block([1, 0], step)),
            )
    };
    vec![
        case(2, 16, 0, true),
        case(31, 64, 64, true),
        case(33, 40, 39, true),
        case(97, 64, 130, true),
        case(3, 16, 32, false),
    ]
}
