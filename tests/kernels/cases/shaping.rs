//! What stands between the mean gradient and the optimiser.

use gmatrix::plan::{Kernel, control};

use super::ODD;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{filled, filled_words, normal, poison};
use crate::numbers::Real;

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
