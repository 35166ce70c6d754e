//! Minibatches and what is gathered for them.

use gmatrix::backend::Values;
use gmatrix::plan::{Arena, Kernel, Segment, control};
use gmatrix::random::batch_index;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{normal, poison, poison_words, words_below};
use crate::numbers::Real;

struct BatchIndices;

impl Oracle for BatchIndices {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [batch, n] = x.params();
        let block = x.words("block");
        let seed = u64::from(block[control::SEED_LOW]) + (u64::from(block[control::SEED_HIGH]) << 32);
        let step = u64::from(block[control::STEP]);
        let entry = |position: usize| batch_index(step, position as u32, batch as u32, n as u32, seed);
        Expected::new().and_words("indices", (0..batch).map(entry).collect())
    }
}

pub fn batch_indices() -> Vec<Case> {
    let case = |batch: usize, n: usize, step: u32| {
        let buffers = vec![poison_words(batch)];
        let case = Case::new(
            Kernel::BatchIndices,
            format!("batch={batch} n={n} step={step}"),
            &[],
            &[batch, n],
            buffers,
            BatchIndices,
        );
        let block = move |rng: &mut crate::fill::Rng| {
            let mut block = vec![0; control::WORDS];
            block[control::ACTIVE] = 1;
            block[control::due(Segment::Step)] = 1;
            (block[control::SEED_LOW], block[control::SEED_HIGH]) = (rng.below(u32::MAX), rng.below(u32::MAX));
            block[control::STEP] = step;
            Values::Words(block)
        };
        case.beside("block", Arena::Control, control::WORDS, Box::new(block))
    };
    // Batches within an epoch, over its border, of all samples; steps whose entries exceed 32 bits.
    vec![
        case(1, 1, 0),
        case(31, 33, 0),
        case(31, 33, 1),
        case(97, 97, 5),
        case(97, 345, 12_345),
        case(345, 1000, u32::MAX),
    ]
}

struct GatherWords;

impl Oracle for GatherWords {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [planes, n, batch] = x.params();
        let (indices, source) = (x.words("indices"), x.words("source"));
        let entry = |k: usize| source[k / batch * n + indices[k % batch] as usize];
        Expected::new().and_words("out", (0..planes * batch).map(entry).collect())
    }
}

pub fn gather_words() -> Vec<Case> {
    let case = |[planes, n, batch]: [usize; 3]| {
        let buffers = vec![
            words_below(batch, n),
            words_below(planes * n, 1 << 20),
            poison_words(planes * batch),
        ];
        let name = format!("planes={planes} n={n} batch={batch}");
        Case::new(
            Kernel::GatherWords,
            name,
            &[],
            &[planes, n, batch],
            buffers,
            GatherWords,
        )
    };
    [[1, 1, 1], [3, 97, 31], [1, 33, 345], [4, 345, 97]].map(case).into()
}

struct GatherReals;

impl Oracle for GatherReals {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [batch, width] = x.params();
        let (indices, source) = (x.words("indices"), x.real::<T>("source"));
        let entry = |k: usize| source[indices[k / width] as usize * width + k % width];
        Expected::new().with("out", (0..batch * width).map(entry).collect())
    }
}

pub fn gather_reals() -> Vec<Case> {
    let case = |[batch, n, width]: [usize; 3]| {
        let buffers = vec![words_below(batch, n), normal(n * width), poison(batch * width)];
        let name = format!("batch={batch} n={n} width={width}");
        Case::new(Kernel::GatherReals, name, &[], &[batch, width], buffers, GatherReals)
    };
    [[1, 1, 1], [31, 97, 33], [345, 33, 1], [97, 345, 31]].map(case).into()
}
