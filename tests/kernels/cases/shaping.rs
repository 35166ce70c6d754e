//! What stands between the mean gradient and the optimiser.

use gmatrix::plan::{Arena, BLOCK, Kernel, control};

use super::ODD;
use super::control::block;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{filled, filled_words, normal, poison};
use crate::numbers::{Real, sum};

struct Clip;

impl Oracle for Clip {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let clip = x.real::<T>("scalars")[control::CLIP];
        let coefficient = clip / (x.real::<T>("square")[0].sqrt() + T::new(1e-6));
        let one = T::new(1.0);
        let clips = clip > T::new(0.0) && coefficient < one;
        Expected::new().with("factor", vec![if clips { coefficient } else { one }])
    }
}

pub fn clip() -> Vec<Case> {
    let case = |norm: f64, clip: f64| {
        let buffers = vec![
            filled(1, move |_| vec![norm * norm]),
            filled(control::RATES, move |rng| {
                let mut rates = rng.normals(control::RATES);
                rates[control::CLIP] = clip;
                rates
            }),
            poison(1),
        ];
        Case::new(
            Kernel::Clip,
            format!("norm={norm} clip={clip}"),
            &[],
            &[],
            buffers,
            Clip,
        )
    };
    let pairs = [
        (3.0, 0.5),
        (0.3, 0.5),
        (0.5, 0.5),
        (7.0, 0.0),
        (0.0, 1.0),
        (1e-9, 1e-9),
        (1e12, 2.0),
    ];
    pairs.map(|(norm, clip_at)| case(norm, clip_at)).into()
}

struct Scale;

impl Oracle for Scale {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let (factor, ends) = (x.real::<T>("factor"), x.words("ends"));
        let region = |k: usize| ends.iter().position(|end| k < *end as usize).expect("a region");
        let scaled = x.real::<T>("x").into_iter().enumerate();
        Expected::new().with("x", scaled.map(|(k, x)| x * factor[region(k)]).collect())
    }
}

/// Ends of one region, or of several whose borders are no block's; one of them is empty.
pub fn ends(len: usize, regions: usize) -> Vec<u32> {
    (1..=regions)
        .map(|k| if k == 2 { len / regions } else { k * len / regions } as u32)
        .collect()
}

pub fn scale() -> Vec<Case> {
    let case = |len: usize, regions: usize| {
        let ends = ends(len, regions);
        let buffers = vec![
            normal(len),
            normal(regions),
            filled_words(regions, move |_| ends.clone()),
        ];
        let name = format!("len={len} regions={regions}");
        Case::new(Kernel::Scale, name, &[], &[len, regions], buffers, Scale)
    };
    let mut cases: Vec<Case> = ODD.map(|len| case(len, 1)).into();
    cases.extend([case(97, 5), case(40_001, 1), case(40_001, 7)]);
    cases
}

/// Rates with this alpha and lambda.
fn filter_rates(rng: &mut crate::fill::Rng) -> Vec<f64> {
    let mut rates = rng.normals(control::RATES);
    (rates[control::FILTER_ALPHA], rates[control::FILTER_LAMBDA]) = (0.93, 1.7);
    rates
}

struct Filter;

impl Oracle for Filter {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len, window] = x.params();
        let step = x.words("block")[control::STEP] as usize;
        let (gradient, mut memory, rates) = (x.real::<T>("gradient"), x.real::<T>("memory"), x.real::<T>("scalars"));
        let (alpha, lambda) = (rates[control::FILTER_ALPHA], rates[control::FILTER_LAMBDA]);
        let mut taken = gradient.clone();
        for k in 0..len {
            let g = gradient[k];
            if x.constant("FILTER") == 0 {
                memory[k] = if step == 0 {
                    g
                } else {
                    alpha * memory[k] + (T::new(1.0) - alpha) * g
                };
                taken[k] = g + lambda * memory[k];
                continue;
            }
            memory[step % window * len + k] = g;
            if step + 1 >= window {
                let ages = (step + 1 - window)..=step;
                let mean = sum(ages.map(|at| memory[at % window * len + k])) / T::new(window as f64);
                taken[k] = g + lambda * mean;
            }
        }
        Expected::new().with("memory", memory).with("taken", taken)
    }
}

pub fn gradient_filter() -> Vec<Case> {
    let case = |filter: u32, len: usize, window: usize, step: u32| {
        let memory = if step == 0 {
            poison(window * len)
        } else {
            normal(window * len)
        };
        let buffers = vec![normal(len), memory, filled(control::RATES, filter_rates), poison(len)];
        let name = format!("len={len} window={window} step={step}");
        Case::new(
            Kernel::GradientFilter,
            name,
            &[("FILTER", filter)],
            &[len, window],
            buffers,
            Filter,
        )
        .beside(
            "block",
            Arena::Control,
            control::WORDS,
            filled_words(control::WORDS, move |_| block(step)).1,
        )
    };
    let mut cases: Vec<Case> = ODD
        .into_iter()
        .flat_map(|len| [0, 1, 17].map(|step| case(0, len, 1, step)))
        .collect();
    for (len, window, step) in [
        (33, 5, 1),
        (97, 5, 3),
        (97, 5, 4),
        (31, 5, 12),
        (1, 1, 1),
        (345, 7, 1001),
        (17_000, 3, 5),
    ] {
        cases.push(case(1, len, window, step));
    }
    cases
}

struct Share;

impl Oracle for Share {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [window] = x.params();
        let step = x.words("block")[control::STEP] as usize;
        let rates = x.real::<T>("scalars");
        let one = T::new(1.0);
        let weight = match (x.constant("FILTER"), step) {
            (0, 0) => one,
            (0, _) => one - rates[control::FILTER_ALPHA],
            (_, step) if step + 1 >= window => one / T::new(window as f64),
            _ => T::new(0.0),
        };
        Expected::new().with("share", vec![one + rates[control::FILTER_LAMBDA] * weight])
    }
}

pub fn filter_share() -> Vec<Case> {
    let case = |filter: u32, window: usize, step: u32| {
        let buffers = vec![filled(control::RATES, filter_rates), poison(1)];
        let name = format!("window={window} step={step}");
        Case::new(
            Kernel::FilterShare,
            name,
            &[("FILTER", filter)],
            &[window],
            buffers,
            Share,
        )
        .beside(
            "block",
            Arena::Control,
            control::WORDS,
            filled_words(control::WORDS, move |_| block(step)).1,
        )
    };
    [
        (0, 1, 0),
        (0, 1, 1),
        (0, 1, 900),
        (1, 7, 0),
        (1, 7, 5),
        (1, 7, 6),
        (1, 7, 100),
        (1, 1, 0),
    ]
    .map(|(filter, window, step)| case(filter, window, step))
    .into()
}

struct RegionSums;

impl Oracle for RegionSums {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len, regions] = x.params();
        let (a, b, ends) = (x.real::<T>("x"), x.real::<T>("y"), x.words("ends"));
        let mut partial = Vec::new();
        for block in 0..len.div_ceil(BLOCK) {
            for region in 0..regions {
                let start = if region == 0 { 0 } else { ends[region - 1] as usize };
                let places = start.max(block * BLOCK)..(ends[region] as usize).min((block + 1) * BLOCK);
                partial.push(sum(places.map(|k| a[k] * b[k])));
            }
        }
        Expected::new().with("partial", partial)
    }
}

pub fn region_sums() -> Vec<Case> {
    let case = |len: usize, regions: usize| {
        let ends = ends(len, regions);
        let partial = poison(len.div_ceil(BLOCK) * regions);
        let buffers = vec![
            normal(len),
            normal(len),
            filled_words(regions, move |_| ends.clone()),
            partial,
        ];
        let name = format!("len={len} regions={regions}");
        Case::new(Kernel::RegionSums, name, &[], &[len, regions], buffers, RegionSums)
    };
    let mut cases: Vec<Case> = ODD.map(|len| case(len, 1)).into();
    cases.extend([
        case(97, 5),
        case(BLOCK, 2),
        case(2 * BLOCK + 33, 1),
        case(2 * BLOCK + 33, 7),
    ]);
    cases
}

struct Perpendicular;

impl Oracle for Perpendicular {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let (theta, ends) = (x.real::<T>("theta"), x.words("ends"));
        let (along, square) = (x.real::<T>("along"), x.real::<T>("square"));
        let region = |k: usize| ends.iter().position(|end| k < *end as usize).expect("a region");
        let share = |k: usize| along[region(k)] / (square[region(k)] + T::new(1e-30));
        let old = x.real::<T>("x").into_iter().enumerate();
        Expected::new().with("x", old.map(|(k, x)| x - share(k) * theta[k]).collect())
    }
}

pub fn perpendicular() -> Vec<Case> {
    let case = |len: usize, regions: usize| {
        let ends = ends(len, regions);
        let squares = filled(regions, move |rng| {
            (0..regions).map(|_| rng.uniform(0.5, 3.0)).collect()
        });
        let buffers = vec![
            normal(len),
            normal(len),
            normal(regions),
            squares,
            filled_words(regions, move |_| ends.clone()),
        ];
        let name = format!("len={len} regions={regions}");
        Case::new(
            Kernel::Perpendicular,
            name,
            &[],
            &[len, regions],
            buffers,
            Perpendicular,
        )
    };
    let mut cases: Vec<Case> = ODD.map(|len| case(len, 1)).into();
    cases.extend([case(97, 5), case(40_001, 7)]);
    cases
}

struct NormRatio;

impl Oracle for NormRatio {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let pairs = x.real::<T>("before").into_iter().zip(x.real::<T>("after"));
        let ratio = |(before, after): (T, T)| before.sqrt() / (after.sqrt() + T::new(1e-30));
        Expected::new().with("factor", pairs.map(ratio).collect())
    }
}

pub fn norm_ratio() -> Vec<Case> {
    let case = |regions: usize| {
        let squares = || {
            filled(regions, move |rng| {
                // The last region is without a gradient.
                let last = |k: usize| regions > 1 && k + 1 == regions;
                (0..regions)
                    .map(|k| if last(k) { 0.0 } else { rng.uniform(1e-6, 3.0) })
                    .collect()
            })
        };
        let buffers = vec![squares(), squares(), poison(regions)];
        Case::new(
            Kernel::NormRatio,
            format!("regions={regions}"),
            &[],
            &[regions],
            buffers,
            NormRatio,
        )
    };
    [1, 2, 33, 97].map(case).into()
}
