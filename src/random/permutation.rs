//! Shuffles without a table: a keyed Feistel network, and the minibatches made of it.
//!
//! [`feistel`] uses u32 arithmetic only (wrapping add and multiply, shift, xor), so that a device kernel computes the
//! same permutation entry by entry, without sorting and without memory.

use super::{Purpose, Stream};

/// Rounds of the network. From 8 on, all orders of 2 to 8 elements are equally frequent as far as chi-square can tell.
pub const FEISTEL_ROUNDS: u32 = 12;

/// Fewest bits the network permutes. Networks of 3 bits mix too slowly (32 rounds), those of 4 bits (two and two)
/// generate only part of all permutations, so small ranges walk through 64 elements instead.
pub const FEISTEL_MIN_BITS: u32 = 6;

/// Entry `index` of the permutation of [0, n) that belongs to `key`; `index < n`.
///
/// The network permutes [0, 2^b), with the least b >= [`FEISTEL_MIN_BITS`] for which 2^b >= n, and is applied again
/// while the result is >= n (cycle walking: 2^b / n times on average, so less than twice above 32). It splits the b bits into `left` (upper floor(b/2)) and
/// `right` (lower ceil(b/2)) and does not swap them:
///
/// ```text
/// round r even:  left  ^= F(right, r)   cut to the width of left
/// round r odd:   right ^= F(left, r)    cut to the width of right
/// F(x, r)  = mix(mix(x + key[r % 4]) ^ (key[(r + 1) % 4] + r * 0x9E3779B9))
/// mix(x):    x ^= x >> 16;  x *= 0x7FEB352D;  x ^= x >> 15;  x *= 0x846CA68B;  x ^= x >> 16
/// ```
///
/// all modulo 2^32, for r = 0 .. [`FEISTEL_ROUNDS`].
///
/// # Panics
/// If `index >= n`: outside of the permuted range the walk need not end.
#[track_caller]
pub fn feistel(index: u32, n: u32, key: [u32; 4]) -> u32 {
    assert!(index < n, "entry {index} of a permutation of {n}");
    let bits = (32 - (n - 1).leading_zeros()).max(FEISTEL_MIN_BITS);
    let left_bits = bits / 2;
    let right_bits = bits - left_bits;
    // At most 16 bits each, so no shift reaches the width of a word.
    let left_mask = (1u32 << left_bits) - 1;
    let right_mask = (1u32 << right_bits) - 1;

    let mut value = index;
    loop {
        let mut left = value >> right_bits;
        let mut right = value & right_mask;
        for r in (0..FEISTEL_ROUNDS).step_by(2) {
            left ^= round(right, r, key) & left_mask;
            right ^= round(left, r + 1, key) & right_mask;
        }
        value = left << right_bits | right;
        if value < n {
            return value;
        }
    }
}

fn round(x: u32, r: u32, key: [u32; 4]) -> u32 {
    let first = key[(r % 4) as usize];
    let second = key[((r + 1) % 4) as usize].wrapping_add(r.wrapping_mul(0x9E37_79B9));
    mix(mix(x.wrapping_add(first)) ^ second)
}

/// A bijection of 32 bits in which every input bit flips about half of the output bits (Wellons' lowbias32).
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7FEB_352D);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846C_A68B);
    x ^ x >> 16
}

/// A keyed permutation of [0, n): random access, no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permutation {
    n: u32,
    key: [u32; 4],
}

impl Permutation {
    /// The permutation of [0, n) that belongs to a key.
    pub fn new(n: u32, key: [u32; 4]) -> Self {
        Self { n, key }
    }

    /// Its size.
    pub fn len(&self) -> u32 {
        self.n
    }

    /// Whether there is nothing to permute.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Entry `index`.
    ///
    /// # Panics
    /// If `index` is not below [`Self::len`].
    #[track_caller]
    pub fn get(&self, index: u32) -> u32 {
        feistel(index, self.n, self.key)
    }

    /// The first `count` entries in ascending order: a seeded subset.
    ///
    /// # Panics
    /// If `count` is above [`Self::len`].
    pub fn subset(&self, count: u32) -> Vec<u32> {
        let mut entries: Vec<u32> = (0..count).map(|i| self.get(i)).collect();
        entries.sort_unstable();
        entries
    }
}

/// Key of the order of the samples in an epoch: block `epoch` of stream (seed, [`Purpose::BatchOrder`]).
pub fn epoch_key(seed: u64, epoch: u64) -> [u32; 4] {
    Stream::new(seed, Purpose::BatchOrder).block(epoch)
}

/// The training sample at `position` of minibatch `t`, for batches of `batch` out of `n` samples.
///
/// Minibatch t is entries [t * batch, (t + 1) * batch) of the concatenated permutations of all epochs. No batch is
/// short; one may straddle two epochs, and then may hold a sample twice.
///
/// # Panics
/// If `n` is 0.
pub fn batch_index(t: u64, position: u32, batch: u32, n: u32, seed: u64) -> u32 {
    let entry = t * u64::from(batch) + u64::from(position);
    let (epoch, offset) = (entry / u64::from(n), (entry % u64::from(n)) as u32);
    feistel(offset, n, epoch_key(seed, epoch))
}
