//! Random numbers for simulation and resampling: one sub-stream of Philox for each simulation, read in order.
//!
//! So a simulation's numbers depend on the seed and its index alone, not on how threads share simulations out.

use crate::random::{Purpose, Stream};

/// The random numbers of one simulation.
#[derive(Debug, Clone)]
pub struct Draws {
    stream: Stream,
    uniforms: u64,
    normals: u64,
}

impl Draws {
    /// Those of simulation `index` under a seed.
    pub fn new(seed: u64, index: u32) -> Self {
        Self::of(Stream::new(seed, Purpose::Analysis).substream(index))
    }

    /// Those of a stream.
    pub fn of(stream: Stream) -> Self {
        Self {
            stream,
            uniforms: 0,
            normals: 0,
        }
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        let value = self.stream.uniform(UNIFORM_BASE + self.uniforms);
        self.uniforms += 1;
        value
    }

    /// An integer in [0, n).
    pub fn below(&mut self, n: usize) -> usize {
        let value = self.stream.below(UNIFORM_BASE + self.uniforms, n as u32);
        self.uniforms += 1;
        value as usize
    }

    /// A standard normal.
    pub fn normal(&mut self) -> f64 {
        let value = self.stream.normal(self.normals);
        self.normals += 1;
        value
    }

    /// A random order of 0..n (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

/// Uniforms and normals read different parts of the stream.
const UNIFORM_BASE: u64 = 1 << 62;
