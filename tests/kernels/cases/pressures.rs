//! Pressures on the weights and on what they see: noise, dropped activations, a norm that is held.

use gmatrix::plan::{Arena, BLOCK, Kernel, control};
use gmatrix::random::{Purpose, Stream};

use super::ODD;
use super::control::block;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Rng, filled, filled_words, normal, poison};
use crate::numbers::{Real, sum};

const SEED: [u32; 2] = [0x9876_5432, 3];

/// A case of a kernel that reads seed and step.
fn at_step(case: Case, step: u32) -> Case {
    let words = move || {
        let mut block = block(step);
        [block[control::SEED_LOW], block[control::SEED_HIGH]] = SEED;
        block
    };
    let fill = filled_words(control::WORDS, move |_| words()).1;
    case.beside("block", Arena::Control, control::WORDS, fill)
}

/// The draws of a purpose at the step of a case.
fn draws(x: &Data, purpose: Purpose) -> Stream {
    let seed = u64::from(SEED[0]) | u64::from(SEED[1]) << 32;
    Stream::new(seed, purpose).substream(x.words("block")[control::STEP])
}

struct Noise;

impl Oracle for Noise {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len] = x.params();
        let rates = x.real::<T>("scalars");
        let mut sd = rates[control::NOISE];
        if x.flag("RELATIVE") {
            sd = sd * (rates[control::MEAN_SQUARE] / T::new(len as f64)).sqrt();
        }
        let draws = draws(x, Purpose::GradientNoise);
        let old = x.real::<T>("x").into_iter().enumerate();
        let noisy = old.map(|(k, x)| x + sd * T::new(draws.normal(k as u64)));
        Expected::new().with("x", noisy.collect())
    }
}

pub fn gradient_noise() -> Vec<Case> {
    let case = |relative: u32, len: usize, step: u32, noise: f64| {
        let scalars = filled(control::RATES, move |rng: &mut Rng| {
            let mut rates = rng.normals(control::RATES);
            (rates[control::NOISE], rates[control::MEAN_SQUARE]) = (noise, 2.7);
            rates
        });
        let name = format!("len={len} step={step} noise={noise}");
        let constants = [("RELATIVE", relative)];
        let case = Case::new(
            Kernel::GradientNoise,
            name,
            &constants,
            &[len],
            vec![normal(len), scalars],
            Noise,
        );
        at_step(case, step)
    };
    let mut cases: Vec<Case> = ODD.map(|len| case(0, len, 3, 0.25)).into();
    cases.extend(ODD.map(|len| case(1, len, 0, 1.5)));
    cases.extend([case(0, 33, 7, 0.0), case(1, 40_001, 12, 0.1)]);
    cases
}

struct Dropout;

impl Oracle for Dropout {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [_, layer] = x.params();
        let share = x.real::<T>("scalars")[control::DROPOUT];
        let draws = draws(x, Purpose::Dropout);
        let kept = |k: usize| {
            let word = draws.block((layer as u64) << 32 | (k / 4) as u64)[k % 4];
            f64::from(word) / 2f64.powi(32) >= share.value()
        };
        let one = T::new(1.0);
        let old = x.real::<T>("x").into_iter().enumerate();
        let dropped = old.map(|(k, x)| {
            if kept(k) {
                x * (one / (one - share))
            } else {
                T::new(0.0)
            }
        });
        Expected::new().with("x", dropped.collect())
    }
}

pub fn dropout() -> Vec<Case> {
    let case = |len: usize, layer: usize, step: u32, share: f64| {
        let scalars = filled(control::RATES, move |rng: &mut Rng| {
            let mut rates = rng.normals(control::RATES);
            rates[control::DROPOUT] = share;
            rates
        });
        let name = format!("len={len} layer={layer} step={step} share={share}");
        let case = Case::new(
            Kernel::Dropout,
            name,
            &[],
            &[len, layer],
            vec![normal(len), scalars],
            Dropout,
        );
        at_step(case, step)
    };
    let mut cases: Vec<Case> = ODD.map(|len| case(len, 0, 3, 0.25)).into();
    cases.extend([case(97, 2, 0, 0.5), case(33, 1, 7, 0.0), case(40_001, 1, 12, 0.125)]);
    cases
}

struct HoldNorm;

impl Oracle for HoldNorm {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let rates = x.real::<T>("scalars");
        let first = x.words("block")[control::STEP] == 0;
        let aim = x.real::<T>(if first { "before" } else { "aim" });
        let zero = T::new(0.0);
        let (mut factor, mut excess) = (Vec::new(), Vec::new());
        for (aim, after) in aim.iter().zip(x.real::<T>("after")) {
            let (norm, now) = (rates[control::HOLD_FACTOR] * aim.sqrt(), after.sqrt());
            let holds = norm > zero && now > zero;
            factor.push(if holds { norm / now } else { T::new(1.0) });
            excess.push(if holds { (norm - now) / now } else { zero });
        }
        Expected::new()
            .with("aim", aim)
            .with("factor", factor)
            .with("excess", excess)
    }
}

pub fn hold_norm() -> Vec<Case> {
    let case = |regions: usize, step: u32| {
        let squares = |zero: usize| {
            filled(regions, move |rng| {
                let is_zero = |k: usize| regions > 2 && k % 5 == zero;
                (0..regions)
                    .map(|k| if is_zero(k) { 0.0 } else { rng.uniform(0.5, 3.0) })
                    .collect()
            })
        };
        let aim = if step == 0 { poison(regions) } else { squares(1) };
        let scalars = filled(control::RATES, |rng: &mut Rng| {
            let mut rates = rng.normals(control::RATES);
            rates[control::HOLD_FACTOR] = 0.8;
            rates
        });
        let buffers = vec![squares(2), squares(3), scalars, aim, poison(regions), poison(regions)];
        let name = format!("regions={regions} step={step}");
        at_step(
            Case::new(Kernel::HoldNorm, name, &[], &[regions], buffers, HoldNorm),
            step,
        )
    };
    [(1, 0), (1, 4), (33, 0), (33, 9), (97, 1)]
        .map(|(regions, step)| case(regions, step))
        .into()
}

struct Distance;

impl Oracle for Distance {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len] = x.params();
        let (a, b) = (x.real::<T>("x"), x.real::<T>("y"));
        let blocks = (0..len)
            .step_by(BLOCK)
            .map(|first| sum((first..len.min(first + BLOCK)).map(|k| (a[k] - b[k]) * (a[k] - b[k]))));
        Expected::new().with("partial", blocks.collect())
    }
}

pub fn distance() -> Vec<Case> {
    let case = |len: usize| {
        let buffers = vec![normal(len), normal(len), poison(len.div_ceil(BLOCK))];
        Case::new(Kernel::Distance, format!("len={len}"), &[], &[len], buffers, Distance)
    };
    ODD.into_iter().chain([BLOCK, 2 * BLOCK + 97]).map(case).collect()
}
