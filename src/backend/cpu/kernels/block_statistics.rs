//! block_statistics — agreement of pairs of gradients within and between splits and classes.
//!
//! in 0 gram [N, N], as scaled   in 1 labels [N]   out 2 agreement [3, 3, 2]   params n, first
//! order: rows in parallel, columns ascending; then rows ascending, in f64
//!
//! Blocks: both of the first `first` samples, both of the rest, one of each. In each: all pairs i < j of non-zero
//! gradients, those with one label, those with two. Of each: mean cosine, mean sign of the product (stiffness, Fort et
//! al. 1901.09491, without the pairs i = j); null where there is no pair.

use rayon::prelude::*;

use crate::backend::cpu::{Args, Scalar};

/// Blocks, and kinds of pairs in each.
const GROUPS: usize = 9;

/// Pairs, their cosines and their signs.
#[derive(Clone, Copy, Default)]
struct Sums {
    pairs: f64,
    cosine: f64,
    sign: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.cosine += other.cosine;
        self.sign += other.sign;
    }
}

pub fn run<S: Scalar>(args: &Args<S>) {
    let [n, first] = args.params();
    let (gram, labels) = (args.real("gram"), args.word("labels"));
    let inverse: Vec<f64> = (0..n)
        .map(|k| gram[k * n + k].to_f64())
        .map(|x| if x > 0.0 { 1.0 / x.sqrt() } else { 0.0 })
        .collect();
    let rows: Vec<[Sums; GROUPS]> = (0..n)
        .into_par_iter()
        .map(|i| {
            let mut sums = [Sums::default(); GROUPS];
            for j in i + 1..n {
                if inverse[i] == 0.0 || inverse[j] == 0.0 {
                    continue;
                }
                let product = gram[i * n + j].to_f64();
                let pair = Sums {
                    pairs: 1.0,
                    cosine: product * inverse[i] * inverse[j],
                    sign: f64::from(u8::from(product > 0.0)) - f64::from(u8::from(product < 0.0)),
                };
                let block = match (i < first, j < first) {
                    (true, true) => 0,
                    (false, false) => 1,
                    _ => 2,
                };
                sums[3 * block].add(pair);
                sums[3 * block + if labels[i] == labels[j] { 1 } else { 2 }].add(pair);
            }
            sums
        })
        .collect();
    for (group, out) in args.wide_mut("agreement").chunks_exact_mut(2).enumerate() {
        let mut sums = Sums::default();
        rows.iter().for_each(|row| sums.add(row[group]));
        out[0] = sums.cosine / sums.pairs;
        out[1] = sums.sign / sums.pairs;
    }
}
