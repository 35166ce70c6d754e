//! What buffers hold before a launch: random numbers and words, made from a seed, or poison.

use gmatrix::backend::Values;
use gmatrix::random::{Purpose, Stream};

/// Random numbers in sequence.
pub struct Rng {
    stream: Stream,
    next: u64,
}

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self {
            stream: Stream::new(seed, Purpose::Null),
            next: 0,
        }
    }

    fn index(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    pub fn normal(&mut self) -> f64 {
        let index = self.index();
        self.stream.normal(index)
    }

    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let index = self.index();
        low + (high - low) * self.stream.uniform(index)
    }

    pub fn below(&mut self, n: u32) -> u32 {
        let index = self.index();
        self.stream.below(index, n)
    }

    pub fn normals(&mut self, len: usize) -> Vec<f64> {
        (0..len).map(|_| self.normal()).collect()
    }

    pub fn words(&mut self, len: usize, below: usize) -> Vec<u32> {
        (0..len).map(|_| self.below(below as u32)).collect()
    }

    /// Exponents of samples: some negative, most positive.
    pub fn exponents(&mut self, len: usize) -> Vec<u32> {
        (0..len).map(|_| self.below(12).wrapping_sub(3)).collect()
    }
}

/// What a buffer holds before the launch.
pub type Fill = Box<dyn Fn(&mut Rng) -> Values + Send + Sync>;

/// Standard normal numbers.
pub fn normal(len: usize) -> (usize, Fill) {
    scaled_normal(len, 1.0)
}

/// Normal numbers of this standard deviation.
pub fn scaled_normal(len: usize, sd: f64) -> (usize, Fill) {
    (
        len,
        Box::new(move |rng| Values::Numbers(rng.normals(len).into_iter().map(|x| sd * x).collect())),
    )
}

/// Whatever this function makes.
pub fn filled(len: usize, make: impl Fn(&mut Rng) -> Vec<f64> + Send + Sync + 'static) -> (usize, Fill) {
    (len, Box::new(move |rng| Values::Numbers(make(rng))))
}

/// Words below a number.
pub fn words_below(len: usize, below: usize) -> (usize, Fill) {
    (len, Box::new(move |rng| Values::Words(rng.words(len, below))))
}

/// Whatever words this function makes.
pub fn filled_words(len: usize, make: impl Fn(&mut Rng) -> Vec<u32> + Send + Sync + 'static) -> (usize, Fill) {
    (len, Box::new(move |rng| Values::Words(make(rng))))
}

/// Exponents of samples.
pub fn exponents(len: usize) -> (usize, Fill) {
    (len, Box::new(move |rng| Values::Words(rng.exponents(len))))
}

/// NaN: a buffer that must be overwritten without being read.
pub fn poison(len: usize) -> (usize, Fill) {
    (len, Box::new(move |_| Values::Numbers(vec![f64::NAN; len])))
}

/// The same of words.
pub fn poison_words(len: usize) -> (usize, Fill) {
    (len, Box::new(move |_| Values::Words(vec![0xA5A5_A5A5; len])))
}
