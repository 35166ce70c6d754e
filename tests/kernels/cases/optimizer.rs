//! The update of the weights, and the statistics that follow from its sums.

use gmatrix::plan::{BLOCK, Kernel, control};
use gmatrix::stats::columns;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Rng, filled, filled_words, normal, poison};
use crate::numbers::{Real, sum};

/// The head of the scalars for step `step` (from 1): rates, corrections, a decay for each of three groups.
pub fn rates(step: f64) -> Vec<f64> {
    let mut rates = vec![0.0; control::RATES];
    rates[control::LR] = 0.013;
    rates[control::BETA1] = 0.9;
    rates[control::BETA2] = 0.98;
    rates[control::EPS] = 1e-8;
    rates[control::L1] = 0.003;
    rates[control::CORRECTION1] = 1.0 - 0.9f64.powf(step);
    rates[control::CORRECTION2] = 1.0 - 0.98f64.powf(step);
    for (group, decay) in [1.0, 0.0, 0.25].into_iter().enumerate() {
        rates[control::DECAY + group] = decay;
    }
    rates
}

/// What decay and L1 add to the gradient of a weight.
pub fn pull_of<T: Real>(w: T, decay: T, rates: &[f64]) -> T {
    let zero = T::new(0.0);
    let l1 = T::new(rates[control::L1]);
    if w > zero {
        decay * w + l1
    } else if w < zero {
        decay * w - l1
    } else {
        zero
    }
}

/// Ends and groups of three to four tensors that share no border with a block.
pub fn spans(len: usize) -> Vec<u32> {
    let ends = if len < 4 {
        vec![len]
    } else {
        vec![len / 3, len / 3 + 1, len - len / 5, len]
    };
    ends.iter()
        .enumerate()
        .flat_map(|(k, end)| [*end as u32, (k % 3) as u32])
        .collect()
}

/// Rows of the moments: under rules with coupled decay and a moment, one for decay's share of it.
pub fn rows(kind: u32) -> usize {
    if [1, 2, 4].contains(&kind) { 4 } else { 3 }
}

/// m, v, the previous gradient, and decay's share of m if there are four rows; every seventh weight never had one.
pub fn moments(rng: &mut Rng, len: usize, rows: usize) -> Vec<f64> {
    let mut moments = rng.normals(rows * len);
    for k in 0..len {
        moments[len + k] = moments[len + k].abs();
        if k % 7 == 0 {
            (0..rows).for_each(|row| moments[row * len + k] = 0.0);
        }
    }
    moments
}

/// The weight decay of parameter `k`.
pub fn decay_of(k: usize, spans: &[u32], rates: &[f64]) -> f64 {
    let span = spans
        .chunks_exact(2)
        .find(|span| k < span[0] as usize)
        .expect("every parameter lies in a tensor");
    rates[control::DECAY + span[1] as usize]
}

struct Optimizer;

impl Oracle for Optimizer {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len, _] = x.params();
        let (theta, gradient, moments) = (x.real::<T>("theta"), x.real::<T>("gradient"), x.real::<T>("moments"));
        let taken = if x.flag("SHAPED") {
            x.real::<T>("shaped")
        } else {
            gradient.clone()
        };
        let (rates, spans) = (x.plain("scalars"), x.words("spans"));
        let rate = |place: usize| T::new(rates[place]);
        let one = T::new(1.0);
        let (lr, beta1, beta2) = (rate(control::LR), rate(control::BETA1), rate(control::BETA2));
        let (mut weights, mut moments_after) = (theta.clone(), moments.clone());
        for k in 0..len {
            let decay = T::new(decay_of(k, spans, rates));
            let (mut w, g, mut m, mut v) = (theta[k], taken[k], moments[k], moments[len + k]);
            let pull = pull_of(w, decay, rates);
            match x.constant("OPTIMIZER") {
                0 => w = w - lr * (g + pull),
                1 => {
                    m = beta1 * m + (g + pull);
                    w = w - lr * m;
                }
                4 => {
                    let g = g + pull;
                    m = beta1 * m + g;
                    w = w - lr * (g + beta1 * m);
                }
                kind => {
                    let mut g = g;
                    if kind == 2 {
                        g = g + pull;
                    } else {
                        w = w * (one - lr * decay) - lr * (pull - decay * w);
                    }
                    m = beta1 * m + (one - beta1) * g;
                    v = beta2 * v + (one - beta2) * g * g;
                    let denominator = (v / rate(control::CORRECTION2)).sqrt() + rate(control::EPS);
                    w = w - lr * (m / rate(control::CORRECTION1)) / denominator;
                }
            }
            weights[k] = w;
            (moments_after[k], moments_after[len + k], moments_after[2 * len + k]) = (m, v, gradient[k]);
            let kind = x.constant("OPTIMIZER");
            if rows(kind) == 4 {
                let new = if kind == 2 { one - beta1 } else { one };
                moments_after[3 * len + k] = beta1 * moments[3 * len + k] + new * pull;
            }
        }
        // The update's norm is that of what the weights really did, rounding included.
        let change: Vec<T> = x
            .plain_after("theta")
            .iter()
            .zip(&theta)
            .map(|(a, b)| T::new(*a) - *b)
            .collect();
        let blocks = (0..len.div_ceil(BLOCK)).flat_map(|block| {
            let range = block * BLOCK..len.min((block + 1) * BLOCK);
            let product = |a: &[T], b: &[T]| sum(range.clone().map(|k| a[k] * b[k]));
            let (m, previous) = (&moments[..len], &moments[2 * len..3 * len]);
            [
                product(&theta, &theta),
                product(&gradient, &gradient),
                product(&change, &change),
                product(&gradient, previous),
                product(previous, previous),
                product(&gradient, m),
                product(m, m),
            ]
        });
        let partial = blocks.collect();
        Expected::new()
            .with("theta", weights)
            .with("moments", moments_after)
            .with("partial", partial)
    }
}

pub fn optimizer() -> Vec<Case> {
    let case = |len: usize, kind: u32, shaped: u32, step: f64| {
        let gradient = filled(len, move |rng| {
            let zero = |k: usize, g: f64| if k.is_multiple_of(21) { 0.0 } else { g };
            rng.normals(len)
                .into_iter()
                .enumerate()
                .map(|(k, g)| zero(k, g))
                .collect()
        });
        let spans = spans(len);
        let tensors = spans.len() / 2;
        let mut buffers = vec![normal(len), gradient];
        if shaped == 1 {
            buffers.push(normal(len));
        }
        buffers.extend([
            filled(rows(kind) * len, move |rng| moments(rng, len, rows(kind))),
            filled(control::RATES, move |_| rates(step)),
            filled_words(spans.len(), move |_| spans.clone()),
            poison(7 * len.div_ceil(BLOCK)),
        ]);
        let constants = [("OPTIMIZER", kind), ("SHAPED", shaped)];
        Case::new(
            Kernel::Optimizer,
            format!("len={len} step={step}"),
            &constants,
            &[len, tensors],
            buffers,
            Optimizer,
        )
    };
    let sizes = [(1, 1.0), (31, 2.0), (97, 1.0), (345, 1000.0), (BLOCK + 97, 7.0)];
    let rules = (0..5).flat_map(|kind| [(kind, 0), (kind, 1)]);
    rules
        .flat_map(|(kind, shaped)| sizes.map(|(len, step)| case(len, kind, shaped, step)))
        .collect()
}

struct UpdateStatistics;

impl Oracle for UpdateStatistics {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let sums = x.real::<T>("sums");
        let mut scalars = x.real::<T>("scalars");
        let row = &mut scalars[control::RATES..];
        for (column, k) in [
            (columns::WEIGHT_NORM, 0),
            (columns::GRADIENT_NORM, 1),
            (columns::UPDATE_NORM, 2),
        ] {
            row[column] = sums[k].sqrt();
        }
        if x.flag("HELD") {
            row[columns::UPDATE_NORM] = x.real::<T>("distance")[0].sqrt();
        }
        if !sums[2].value().is_finite() {
            row[columns::UPDATE_NORM] = T::new(f64::NAN);
        }
        row[columns::TEMPORAL_COSINE] = sums[3] / (sums[1].sqrt() * sums[4].sqrt());
        row[columns::MOMENTUM_COSINE] = sums[5] / (sums[1].sqrt() * sums[6].sqrt());
        Expected::new().with("scalars", scalars)
    }
}

pub fn update_statistics() -> Vec<Case> {
    let case = |name: &'static str, zero: &'static [usize], exponent: i32, overflows: bool, held: u32| {
        let sums = filled(7, move |rng| {
            let mut sums: Vec<f64> = (0..7).map(|_| rng.uniform(0.5, 2.0) * 10f64.powi(exponent)).collect();
            zero.iter().for_each(|k| sums[*k] = 0.0);
            if overflows {
                sums[2] = f64::INFINITY;
            }
            sums
        });
        let mut buffers = vec![sums];
        if held == 1 {
            buffers.push(filled(1, |rng| vec![rng.uniform(0.5, 2.0)]));
        }
        buffers.push(normal(control::RATES + columns::PROPERTIES));
        let constants = [("HELD", held)];
        Case::new(
            Kernel::UpdateStatistics,
            name,
            &constants,
            &[],
            buffers,
            UpdateStatistics,
        )
    };
    vec![
        case("usual", &[], 0, false, 0),
        case("held", &[], 0, false, 1),
        case("held, and overflowed", &[], 0, true, 1),
        case("tiny: products of norms would underflow", &[], -250, false, 0),
        case("an update that overflowed", &[], 0, true, 0),
        // No previous gradient, no momentum: their cosines are null.
        case("first step", &[3, 4, 5, 6], 0, false, 0),
    ]
}
