//! Causal attention.

use gmatrix::plan::{Kernel, control};

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Fill, filled, normal, poison, scaled_normal};
use crate::numbers::{Real, largest, sum};

/// One pass's shape and its contents, addressed as the contract lays them out.
struct Heads<T> {
    n: usize,
    t: usize,
    tq: usize,
    heads: usize,
    width: usize,
    q: Vec<T>,
    kv: Vec<T>,
    /// Share of the uniform distribution.
    mix: T,
}

impl<T: Real> Heads<T> {
    fn of(x: &Data) -> Self {
        let [n, t, tq, heads, width] = x.params();
        Self {
            n,
            t,
            tq,
            heads,
            width,
            q: x.real("q"),
            kv: x.real("kv"),
            mix: if x.flag("MIXED") {
                x.real("scalars")[control::ATTENTION_MIX]
            } else {
                T::new(0.0)
            },
        }
    }

    /// q and out `[Tq, N, heads, width]`
    fn row(&self, query: usize, sample: usize, head: usize) -> usize {
        ((query * self.n + sample) * self.heads + head) * self.width
    }

    /// kv `[T, N, 2, heads, width]`: keys are part 0, values part 1.
    fn column(&self, key: usize, sample: usize, part: usize, head: usize) -> usize {
        (((key * self.n + sample) * 2 + part) * self.heads + head) * self.width
    }

    /// pattern `[N, heads, Tq, T]`
    fn score(&self, sample: usize, head: usize, query: usize, key: usize) -> usize {
        ((sample * self.heads + head) * self.tq + query) * self.t + key
    }

    /// Queries stand at the last positions; key j is seen from positions j on.
    fn sees(&self, query: usize, key: usize) -> bool {
        key <= self.t - self.tq + query
    }

    /// What of a value counts, given its weight in the pattern.
    fn mixed(&self, p: T, visible: usize) -> T {
        (T::new(1.0) - self.mix) * p + self.mix / T::new(visible as f64)
    }

    fn dot(&self, a: &[T], i: usize, b: &[T], j: usize) -> T {
        sum((0..self.width).map(|k| a[i + k] * b[j + k]))
    }

    fn scale(&self) -> T {
        T::new(1.0) / T::new(self.width as f64).sqrt()
    }
}

struct Attention;

impl Oracle for Attention {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let h = Heads::<T>::of(x);
        let mut pattern = vec![T::new(0.0); h.n * h.heads * h.tq * h.t];
        let mut out = vec![T::new(0.0); h.tq * h.n * h.heads * h.width];
        for sample in 0..h.n {
            for head in 0..h.heads {
                for query in 0..h.tq {
                    let row = h.row(query, sample, head);
                    let keys: Vec<usize> = (0..h.t).filter(|key| h.sees(query, *key)).collect();
                    let product = |key: &usize| h.dot(&h.q, row, &h.kv, h.column(*key, sample, 0, head)) * h.scale();
                    let scores: Vec<T> = keys.iter().map(product).collect();
                    let top = largest(scores.iter().copied()).expect("a query sees itself");
                    let total = sum(scores.iter().map(|s| (*s - top).exp()));
                    for (key, score) in keys.iter().zip(&scores) {
                        let p = (*score - top).exp() / total;
                        pattern[h.score(sample, head, query, *key)] = p;
                        let v = h.column(*key, sample, 1, head);
                        for k in 0..h.width {
                            out[row + k] = out[row + k] + h.mixed(p, keys.len()) * h.kv[v + k];
                        }
                    }
                }
            }
        }
        Expected::new().with("pattern", pattern).with("out", out)
    }
}

/// n, t, tq, heads, d_head
const SHAPES: [[usize; 5]; 7] = [
    [1, 1, 1, 1, 1],
    [31, 3, 1, 4, 5],
    [31, 3, 3, 2, 33],
    [97, 4, 2, 3, 3],
    [33, 1, 1, 2, 31],
    [345, 3, 1, 1, 7],
    [5, 9, 9, 3, 17],
];

/// Not mixed, and shares of the uniform distribution.
const MIXES: [Option<f64>; 4] = [None, Some(0.0), Some(0.3), Some(1.0)];

fn rates(mix: f64) -> (usize, Fill) {
    filled(control::RATES, move |rng| {
        let mut rates = rng.normals(control::RATES);
        rates[control::ATTENTION_MIX] = mix;
        rates
    })
}

pub fn attention() -> Vec<Case> {
    let case = |[n, t, tq, heads, width]: [usize; 5], sd: f64, mix: Option<f64>| {
        let d = heads * width;
        let mut buffers = vec![scaled_normal(tq * n * d, sd), scaled_normal(t * n * 2 * d, sd)];
        buffers.extend(mix.map(rates));
        buffers.extend([poison(n * heads * tq * t), poison(tq * n * d)]);
        Case::new(
            Kernel::Attention,
            format!("n={n} t={t} tq={tq} heads={heads} d_head={width} sd {sd} mix {mix:?}"),
            &[("MIXED", u32::from(mix.is_some()))],
            &[n, t, tq, heads, width],
            buffers,
            Attention,
        )
    };
    // Large scores: softmax saturates.
    SHAPES
        .into_iter()
        .flat_map(|shape| {
            MIXES
                .map(|mix| [case(shape, 1.0, mix), case(shape, 9.0, mix)])
                .into_iter()
                .flatten()
        })
        .collect()
}

struct AttentionBackward;

impl Oracle for AttentionBackward {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let h = Heads::<T>::of(x);
        let (cotangent, pattern) = (x.real::<T>("cotangent"), x.real::<T>("pattern"));
        let mut dq = vec![T::new(0.0); h.q.len()];
        let mut dkv = vec![T::new(0.0); h.kv.len()];
        for sample in 0..h.n {
            for head in 0..h.heads {
                for query in 0..h.tq {
                    let row = h.row(query, sample, head);
                    // Of each weight, then through softmax: p_j (w_j - sum p w), of which the uniform part knows nothing.
                    let weight = |key: usize| h.dot(&cotangent, row, &h.kv, h.column(key, sample, 1, head));
                    let keys: Vec<usize> = (0..h.t).filter(|key| h.sees(query, *key)).collect();
                    let p = |key: usize| pattern[h.score(sample, head, query, key)];
                    let mean = sum(keys.iter().map(|key| p(*key) * weight(*key)));
                    for &key in &keys {
                        let (at_k, at_v) = (h.column(key, sample, 0, head), h.column(key, sample, 1, head));
                        let through = (T::new(1.0) - h.mix) * p(key) * (weight(key) - mean) * h.scale();
                        let share = h.mixed(p(key), keys.len());
                        for k in 0..h.width {
                            dq[row + k] = dq[row + k] + through * h.kv[at_k + k];
                            dkv[at_k + k] = dkv[at_k + k] + through * h.q[row + k];
                            dkv[at_v + k] = dkv[at_v + k] + share * cotangent[row + k];
                        }
                    }
                }
            }
        }
        Expected::new().with("dq", dq).with("dkv", dkv)
    }
}

pub fn attention_backward() -> Vec<Case> {
    let case = |[n, t, tq, heads, width]: [usize; 5], mix: Option<f64>| {
        let d = heads * width;
        // A pattern need not come from q and kv: the kernel takes it as it is. Beyond the mask stands what must not
        // be read.
        let pattern = filled(n * heads * tq * t, move |rng| {
            let place = |k: usize| (k / t % tq, k % t);
            let sees = |k: usize| place(k).1 <= t - tq + place(k).0;
            (0..n * heads * tq * t)
                .map(|k| if sees(k) { rng.uniform(0.0, 1.0) } else { f64::NAN })
                .collect()
        });
        let mut buffers = vec![normal(tq * n * d), pattern, normal(tq * n * d), normal(t * n * 2 * d)];
        buffers.extend(mix.map(rates));
        buffers.extend([poison(tq * n * d), poison(t * n * 2 * d)]);
        Case::new(
            Kernel::AttentionBackward,
            format!("n={n} t={t} tq={tq} heads={heads} d_head={width} mix {mix:?}"),
            &[("MIXED", u32::from(mix.is_some()))],
            &[n, t, tq, heads, width],
            buffers,
            AttentionBackward,
        )
    };
    SHAPES
        .into_iter()
        .flat_map(|shape| MIXES.map(|mix| case(shape, mix)))
        .collect()
}
