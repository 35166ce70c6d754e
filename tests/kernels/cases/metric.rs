//! Gram matrices in a metric, against gradients that are really formed.

use gmatrix::backend::Values;
use gmatrix::plan::{Access, Arena, Kernel};

use super::sites::{Spec, case, gradients, offsets, sets};
use crate::case::{Buf, Case, Data, Expected, Oracle};
use crate::numbers::{Real, sum};

struct GramMetric(Vec<Spec>);

impl Oracle for GramMetric {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let g = gradients::<T>(x, &self.0);
        let metric = x.real::<T>("metric");
        let product = |a: &[T], b: &[T]| sum(a.iter().zip(b).zip(&metric).map(|((a, b), m)| *a * *m * *b));
        let gram = g
            .iter()
            .flat_map(|a| g.iter().map(|b| product(a, b)).collect::<Vec<_>>())
            .collect();
        Expected::new().with("gram", gram)
    }
}

pub fn gram_metric() -> Vec<Case> {
    let mut cases = Vec::new();
    for (k, (name, specs)) in sets().into_iter().enumerate() {
        let sizes: &[usize] = if k == 6 { &[1, 31, 129] } else { &[33] };
        for n in sizes.iter().copied() {
            let (places, parameters) = offsets(&specs);
            let buffer = |name: &str, arena, len, access, fill| Buf {
                name: name.into(),
                arena,
                len,
                access,
                fill,
            };
            let extra = vec![
                buffer(
                    "offsets",
                    Arena::Words,
                    places.len(),
                    Access::Read,
                    Box::new(move |_| Values::Words(places.clone())),
                ),
                buffer(
                    "metric",
                    Arena::Scratch,
                    parameters,
                    Access::Read,
                    Box::new(move |rng| Values::Numbers((0..parameters).map(|_| rng.uniform(0.1, 9.0)).collect())),
                ),
                buffer(
                    "gram",
                    Arena::Scratch,
                    n * n,
                    Access::Write,
                    Box::new(move |_| Values::Numbers(vec![f64::NAN; n * n])),
                ),
            ];
            cases.push(case(
                Kernel::GramMetric,
                n,
                &name,
                specs.clone(),
                extra,
                GramMetric(specs.clone()),
            ));
        }
    }
    cases
}
