//! Random numbers without state: every draw is a function of (seed, purpose, sub-stream, index).
//!
//! So a draw does not depend on what was drawn before it, on the number of threads, on the slot a run occupies or on
//! where a run was interrupted. [`philox4x32`] is the generator, [`Stream`] gives numbers by index, [`Permutation`]
//! shuffles by index, and [`batch_index`] says which sample stands where in which minibatch.

mod permutation;
mod philox;

pub use permutation::{FEISTEL_MIN_BITS, FEISTEL_ROUNDS, Permutation, batch_index, epoch_key, feistel};
pub use philox::philox4x32;

/// What random numbers are for. Two purposes never share a draw.
///
/// The numbers are part of the stored results: a change would give other weights and splits for the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights; one sub-stream for each tensor.
    InitialWeights = 0,
    /// The split into training and test examples.
    Split = 1,
    /// Labels of the control without a rule; in sub-streams 1 and 2 which labels are noise, and what they become.
    LabelNoise = 2,
    /// The order of the samples in each epoch.
    BatchOrder = 3,
    /// The samples whose Gram matrix is measured.
    GramSubset = 4,
    /// Directions of null models.
    Null = 5,
    /// Signs of random projections.
    Sketch = 6,
    /// Examples that a task draws: strings, and in sub-stream 1 which bits count.
    Examples = 16,
    /// Noise added to gradients; one sub-stream for each step.
    GradientNoise = 7,
    /// Activations that are dropped; one sub-stream for each step.
    Dropout = 8,
    /// Signs of the probes of a spectrum.
    Probe = 9,
    /// Simulations and resampling in the analysis of series; one sub-stream for each simulation.
    Analysis = 32,
    /// Draws of `gmatrix theory`.
    Theory = 33,
    /// Points of a sweep; one sub-stream for each key.
    Sweep = 34,
    /// Choices and noise of interventions on checkpoints.
    Intervention = 35,
}

/// A random-access stream of numbers.
///
/// Block `i` is [`philox4x32`] with key `[seed, seed >> 32]` and counter `[i, i >> 32, sub, purpose]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    sub: u32,
    purpose: Purpose,
}

impl Stream {
    /// Sub-stream 0 of this seed and purpose.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self {
            key: [low(seed), high(seed)],
            sub: 0,
            purpose,
        }
    }

    /// Another of the 2^32 independent sub-streams.
    pub fn substream(self, sub: u32) -> Self {
        Self { sub, ..self }
    }

    /// 128 random bits.
    pub fn block(&self, index: u64) -> [u32; 4] {
        philox4x32([low(index), high(index), self.sub, self.purpose as u32], self.key)
    }

    /// 64 random bits: half `index % 2` of block `index / 2`, its first word being the low one.
    pub fn bits(&self, index: u64) -> u64 {
        let block = self.block(index / 2);
        let half = 2 * (index % 2) as usize;
        u64::from(block[half]) | u64::from(block[half + 1]) << 32
    }

    /// A number in [0, 1): the upper 53 of 64 random bits.
    pub fn uniform(&self, index: u64) -> f64 {
        unit(self.bits(index))
    }

    /// An integer in [0, n), as floor(bits * n / 2^64): no value's chance is off by more than 2^-64.
    pub fn below(&self, index: u64, n: u32) -> u32 {
        ((u128::from(self.bits(index)) * u128::from(n)) >> 64) as u32
    }

    /// A standard normal (Box-Muller): draws 2k and 2k + 1 are the cosine and the sine of one pair of uniforms.
    ///
    /// Logarithm and sine come from the platform, whose last bit may differ from another platform's.
    pub fn normal(&self, index: u64) -> f64 {
        self.normals(index / 2)[(index % 2) as usize]
    }

    /// Draws 2 pair and 2 pair + 1 of [`Stream::normal`], at the price of one.
    pub fn normals(&self, pair: u64) -> [f64; 2] {
        let [a, b, c, d] = self.block(pair);
        let [radius, angle] = [[a, b], [c, d]].map(|[low, high]| unit(u64::from(low) | u64::from(high) << 32));
        // 1 - u is in (0, 1], so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - radius).ln()).sqrt();
        let angle = std::f64::consts::TAU * angle;
        [radius * angle.cos(), radius * angle.sin()]
    }
}

fn low(x: u64) -> u32 {
    x as u32
}

fn high(x: u64) -> u32 {
    (x >> 32) as u32
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (-53f64).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniforms_lie_in_the_half_open_interval() {
        assert_eq!(unit(0), 0.0);
        assert_eq!(unit(u64::MAX), 1.0 - f64::EPSILON / 2.0);
    }
}
