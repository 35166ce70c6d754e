//! Further Gram matrices: where they start, their forms, their ranks.

use gmatrix::backend::Values;
use gmatrix::plan::layout::{KRYLOV, lanczos_room};
use gmatrix::plan::{Arena, Kernel, Segment, control};
use gmatrix::stats::columns;

use super::gram_sums::{product, scales, vectors};
use super::ranks::{centred_population_ratio, eigenvalues, entropy_rank, jacobi};
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Rng, exponents, filled, poison, poison_words, words_below};
use crate::numbers::{Real, largest, sum};

struct Margin;

impl Oracle for Margin {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, classes] = x.params();
        let share = T::new(1.0) / T::new(classes as f64);
        let entry = |(sample, class): (usize, usize)| {
            let own = x.words("labels")[sample] as usize == class;
            T::new(f64::from(u8::from(own))) - share
        };
        let places = (0..n * classes).map(|k| (k / classes, k % classes));
        Expected::new()
            .with("cotangent", places.map(entry).collect())
            .and_words("exponent", vec![0; n])
    }
}

pub fn margin() -> Vec<Case> {
    let case = |n: usize, classes: usize| {
        let buffers = vec![words_below(n, classes), poison(n * classes), poison_words(n)];
        let name = format!("n={n} V={classes}");
        Case::new(Kernel::Margin, name, &[], &[n, classes], buffers, Margin)
    };
    vec![case(1, 1), case(1, 2), case(31, 3), case(33, 97), case(345, 7)]
}

/// Numbers before the diagonal.
const HEAD: usize = 8;

struct GramForm;

impl Oracle for GramForm {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n] = x.params();
        let gram = x.real::<T>("gram");
        let (zero, one) = (T::new(0.0), T::new(1.0));
        let alive: Vec<bool> = (0..n).map(|i| gram[i * n + i] > zero).collect();
        let count = T::new(alive.iter().filter(|a| **a).count() as f64);
        let centred = x.constant("FORM") == 1;
        let form: Vec<T> = if centred {
            let cosine = |i: usize, j: usize| {
                if i == j {
                    one
                } else {
                    gram[i * n + j] / (gram[i * n + i].sqrt() * gram[j * n + j].sqrt())
                }
            };
            let living: Vec<usize> = (0..n).filter(|i| alive[*i]).collect();
            let mean = |i: usize| sum(living.iter().map(|j| cosine(i, *j))) / count;
            let means: Vec<T> = (0..n).map(|i| if alive[i] { mean(i) } else { zero }).collect();
            let grand = sum(living.iter().map(|i| means[*i])) / count;
            let entry = |(i, j): (usize, usize)| {
                if alive[i] && alive[j] {
                    cosine(i, j) - means[i] - means[j] + grand
                } else {
                    zero
                }
            };
            (0..n * n).map(|k| entry((k / n, k % n))).collect()
        } else {
            let scale = scales::<T>(x.words("exponent"), &alive);
            (0..n * n).map(|k| gram[k] * scale[k / n] * scale[k % n]).collect()
        };
        let positive = |d: T| if d > zero { d } else { zero };
        let diagonal: Vec<T> = (0..n).map(|i| positive(form[i * n + i])).collect();
        let trace = sum(diagonal.iter().copied());
        let mut sums = vec![zero; HEAD];
        sums[0] = trace;
        sums[1] = sum(form.iter().map(|x| *x * *x));
        sums[2] = sum(diagonal.iter().map(|d| *d * *d));
        sums[3] = if centred { count } else { T::new(n as f64) };
        sums[4] = if centred { count / trace } else { one };
        sums.extend(diagonal);
        Expected::new().with("form", form).with("sums", sums)
    }
}

pub fn gram_form() -> Vec<Case> {
    let mut cases = Vec::new();
    for form in [0, 1] {
        cases.extend([2, 31, 33, 97, 257].map(|n| {
            let gram = filled(n * n, move |rng| {
                let g = vectors(rng, n);
                (0..n * n).map(|k| product(&g[k / n], &g[k % n])).collect()
            });
            let buffers = vec![gram, exponents(n), poison(n * n), poison(HEAD + n)];
            Case::new(
                Kernel::GramForm,
                format!("n={n}"),
                &[("FORM", form)],
                &[n],
                buffers,
                GramForm,
            )
        }));
        // One sample: as a number whose square root is exact, so that nothing is left after centring.
        let buffers = vec![filled(1, |_| vec![4.0]), exponents(1), poison(1), poison(HEAD + 1)];
        cases.push(Case::new(
            Kernel::GramForm,
            "n=1",
            &[("FORM", form)],
            &[1],
            buffers,
            GramForm,
        ));
    }
    cases
}

struct FormRanks;

impl Oracle for FormRanks {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, _] = x.params();
        let sums = x.real::<T>("sums");
        let null = T::new(f64::NAN);
        let epsilon = x.precision.epsilon();
        let after = x.plain_after("ranks");
        let mut out = vec![null; columns::FORM];
        let [trace, frobenius2, diagonal2, samples, condition] = [0, 1, 2, 3, 4].map(|k| sums[k]);
        let centred = x.flag("CENTRED");
        if centred && condition.value() * epsilon > 1.2e-5 {
            return Expected::new().with("ranks", out);
        }
        out[2] = trace * trace / frobenius2;
        out[3] = if centred {
            centred_population_ratio(trace, frobenius2, diagonal2, samples)
        } else {
            (trace * trace - diagonal2) / (frobenius2 - diagonal2)
        };
        if x.flag("SPECTRUM") {
            let values = x.real::<T>("eigenvalues");
            let top = largest(values.iter().copied()).filter(|top| *top > T::new(0.0));
            if let Some(top) = top {
                let least = 4.0 * n as f64 * epsilon * top.value();
                let kept: Vec<T> = values.iter().copied().filter(|l| l.value() >= least).collect();
                out[0] = entropy_rank(&kept.iter().map(|l| l.sqrt()).collect::<Vec<_>>());
                out[1] = entropy_rank(&kept);
                out[4] = trace / top;
                out[5] = T::new(kept.len() as f64);
                out[6] = T::new(values.iter().filter(|l| **l < T::new(0.0)).count() as f64);
            }
        }
        // The nulls have a test of their own, against draws.
        (out[7], out[8]) = (T::new(after[7]), T::new(after[8]));
        Expected::new().with("ranks", out)
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        let null = x.plain_after("ranks")[7];
        let alive = x.plain("sums")[0] > 0.0;
        let held = !x.flag("CENTRED") || x.plain("sums")[4] * x.precision.epsilon() <= 1.2e-5;
        let [n, parameters] = x.params();
        // Below 16 N parameters a GPU may have no null; that the CPU has one, `identities::spectra` sees.
        if null.is_nan() && parameters < 16 * n {
            return Ok(());
        }
        if null.is_nan() == (alive && held) {
            return Err(format!("the null is {null}"));
        }
        Ok(())
    }
}

pub fn form_ranks() -> Vec<Case> {
    let case = |n: usize, parameters: usize, [spectrum, centred]: [u32; 2], condition: f64, factor: f64| {
        let sums = filled(HEAD + n, move |rng| {
            let diagonal: Vec<f64> = (0..n).map(|_| factor * rng.uniform(0.1, 3.0)).collect();
            let diagonal = if n == 1 { vec![1.5] } else { diagonal };
            let mut sums = vec![0.0; HEAD];
            sums[0] = diagonal.iter().sum();
            sums[2] = diagonal.iter().map(|d| d * d).sum();
            sums[1] = sums[2] + 0.1 * (sums[0].powi(2) - sums[2]);
            sums[3] = n as f64;
            sums[4] = condition;
            sums.extend(diagonal);
            sums
        });
        let mut buffers = vec![sums];
        if spectrum == 1 {
            buffers.push(filled(n, move |rng| eigenvalues(rng, n, factor)[..n].to_vec()));
        }
        buffers.push(poison(columns::FORM));
        Case::new(
            Kernel::FormRanks,
            format!("n={n} P={parameters} condition={condition}"),
            &[("SPECTRUM", spectrum), ("CENTRED", centred)],
            &[n, parameters],
            buffers,
            FormRanks,
        )
    };
    let mut cases = Vec::new();
    for constants in [[0, 0], [0, 1], [1, 0], [1, 1]] {
        cases.extend([2, 4, 31, 97].map(|n| case(n, 5000, constants, 3.0, 1.0)));
        cases.push(case(33, 40, constants, 3.0, 1.0));
        cases.push(case(33, 5000, constants, 1e5, 1.0));
        cases.push(case(33, 5000, constants, 3e11, 1.0));
    }
    cases.push(case(1, 5000, [1, 0], 1.0, 1.0));
    cases.push(case(33, 40, [1, 0], 1.0, 0.0));
    cases.push(case(33, 5000, [1, 0], 1.0, 0.0));
    cases
}

struct Lanczos;

impl Oracle for Lanczos {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, _, _] = x.params();
        let mut ranks = x.real::<T>("ranks");
        if x.plain("ranks")[2].is_nan() {
            return Expected::new()
                .with("ranks", ranks)
                .with("errors", vec![T::new(f64::NAN); 3])
                .and_not("room");
        }
        let values = jacobi(&x.real::<T>("form"), n);
        let top = values[n - 1];
        let least = 4.0 * n as f64 * x.precision.epsilon() * top.value();
        let kept: Vec<T> = values.into_iter().filter(|l| l.value() >= least).collect();
        ranks[0] = entropy_rank(&kept.iter().map(|l| l.sqrt()).collect::<Vec<_>>());
        ranks[1] = entropy_rank(&kept);
        ranks[4] = x.real::<T>("sums")[0] / top;
        // The whole space is searched, so nothing is left to chance.
        Expected::new()
            .with("ranks", ranks)
            .with("errors", vec![T::new(0.0); 3])
            .and_not("room")
    }
}

/// Matrices small enough to be searched to the end; larger ones are in `identities::coverage`.
pub fn lanczos() -> Vec<Case> {
    let case = |n: usize, probes: usize, first: f64| {
        let gram = move |rng: &mut Rng| -> Vec<f64> {
            let rows: Vec<Vec<f64>> = (0..n).map(|_| rng.normals(2 * n)).collect();
            (0..n * n).map(|k| product(&rows[k / n], &rows[k % n])).collect()
        };
        let trace = filled(HEAD, |rng| vec![rng.uniform(1.0, 9.0); HEAD]);
        let ranks = filled(columns::FORM, move |rng| {
            let mut ranks = rng.normals(columns::FORM);
            ranks[2] = first;
            ranks
        });
        let room = poison(lanczos_room(n, probes));
        let buffers = vec![filled(n * n, gram), trace, ranks, poison(3), room];
        Case::new(
            Kernel::Lanczos,
            format!("n={n}"),
            &[],
            &[n, probes, KRYLOV],
            buffers,
            Lanczos,
        )
        .looser(256.0, "eigenvalues of a projection, and logarithms of their shares")
        .beside(
            "block",
            Arena::Control,
            control::WORDS,
            Box::new(|rng: &mut Rng| {
                let mut block = vec![0; control::WORDS];
                block[control::ACTIVE] = 1;
                block[control::SEED_LOW] = rng.below(u32::MAX);
                block[control::due(Segment::Step)] = 1;
                Values::Words(block)
            }),
        )
    };
    vec![
        case(1, 2, 1.0),
        case(2, 3, 1.0),
        case(13, 16, 1.0),
        case(31, 4, 1.0),
        case(33, 2, f64::NAN),
    ]
}

struct BlockStatistics;

impl Oracle for BlockStatistics {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, first] = x.params();
        let gram = x.real::<T>("gram");
        let labels = x.words("labels");
        let (zero, one) = (T::new(0.0), T::new(1.0));
        let mut out = Vec::new();
        for (block, classes) in (0..3).flat_map(|block| (0..3).map(move |classes| (block, classes))) {
            let is_in = |(i, j): &(usize, usize)| {
                let split = [
                    *i < first && *j < first,
                    *i >= first && *j >= first,
                    (*i < first) != (*j < first),
                ][block];
                let class = [true, labels[*i] == labels[*j], labels[*i] != labels[*j]][classes];
                split && class && gram[i * n + i] > zero && gram[j * n + j] > zero
            };
            let pairs: Vec<_> = (0..n * n)
                .map(|k| (k / n, k % n))
                .filter(|(i, j)| i < j)
                .filter(is_in)
                .collect();
            let count = T::new(pairs.len() as f64);
            let cosine = |(i, j): &(usize, usize)| gram[i * n + j] / (gram[i * n + i].sqrt() * gram[j * n + j].sqrt());
            let sign = |(i, j): &(usize, usize)| {
                let k = gram[i * n + j];
                if k > zero {
                    one
                } else if k < zero {
                    -one
                } else {
                    zero
                }
            };
            out.push(sum(pairs.iter().map(cosine)) / count);
            out.push(sum(pairs.iter().map(sign)) / count);
        }
        Expected::new().with("agreement", out)
    }
}

pub fn block_statistics() -> Vec<Case> {
    let case = |n: usize, first: usize| {
        let gram = filled(n * n, move |rng| {
            let g = vectors(rng, n);
            (0..n * n).map(|k| product(&g[k / n], &g[k % n])).collect()
        });
        let buffers = vec![gram, words_below(n, 4), poison(18)];
        let name = format!("n={n} first={first}");
        Case::new(
            Kernel::BlockStatistics,
            name,
            &[],
            &[n, first],
            buffers,
            BlockStatistics,
        )
    };
    vec![case(1, 1), case(2, 1), case(31, 31), case(33, 16), case(97, 60)]
}

struct AdamMetric;

impl Oracle for AdamMetric {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len] = x.params();
        let scalars = x.real::<T>("scalars");
        let step = x.words("block")[control::STEP];
        let one = T::new(1.0);
        // beta^t by repeated products
        let power = (0..step).fold(one, |power, _| power * scalars[control::BETA2]);
        let metric = |v: &T| {
            if step == 0 {
                T::new(f64::NAN)
            } else {
                one / ((*v / (one - power)).sqrt() + scalars[control::EPS])
            }
        };
        Expected::new().with(
            "metric",
            x.real::<T>("moments")[len..2 * len].iter().map(metric).collect(),
        )
    }
}

pub fn adam_metric() -> Vec<Case> {
    let case = |len: usize, step: u32| {
        let moments = filled(3 * len, move |rng| {
            (0..3 * len).map(|_| rng.uniform(0.0, 4.0)).collect()
        });
        let scalars = filled(control::RATES, |_| {
            let mut scalars = vec![1.0; control::RATES];
            (scalars[control::BETA2], scalars[control::EPS]) = (0.75, 0.125);
            scalars
        });
        let block = move |_: &mut Rng| {
            let mut block = vec![0; control::WORDS];
            block[control::ACTIVE] = 1;
            block[control::due(Segment::Step)] = 1;
            block[control::STEP] = step;
            Values::Words(block)
        };
        let buffers = vec![moments, scalars, poison(len)];
        Case::new(
            Kernel::AdamMetric,
            format!("P={len} t={step}"),
            &[],
            &[len],
            buffers,
            AdamMetric,
        )
        .beside("block", Arena::Control, control::WORDS, Box::new(block))
    };
    vec![case(1, 1), case(33, 0), case(345, 3), case(20_000, 40)]
}
