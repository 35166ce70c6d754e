//! The intervals of estimated ranks cover the ranks of spectra that are known.

use gmatrix::backend::{Precision, Values};
use gmatrix::plan::layout::{KRYLOV, lanczos_room};
use gmatrix::plan::{Arena, Kernel, Segment, control};
use rayon::prelude::*;

use crate::backends::Backend;
use crate::case::{Case, Data, Expected, Oracle, numbers};
use crate::fill::{Rng, filled, poison};
use crate::numbers::Real;
use crate::run::{backends, outputs_of};

const N: usize = 300;
const PROBES: usize = 8;
const REPETITIONS: u32 = 200;

/// 97.5 % quantile of Student's t with seven degrees of freedom.
const T: f64 = 2.3646;

/// Nothing is compared number by number.
struct Unused;

impl Oracle for Unused {
    fn run<R: Real>(&self, _: &Data) -> Expected<R> {
        unreachable!("the case is run, not checked")
    }
}

/// A dense matrix with these eigenvalues: their diagonal matrix between reflections at random hyperplanes.
fn with_spectrum(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut matrix = vec![0.0; n * n];
    for (k, value) in values.iter().enumerate() {
        matrix[k * n + k] = *value;
    }
    let mut rng = Rng::new(11);
    for _ in 0..4 {
        let v = rng.normals(n);
        let length2: f64 = v.iter().map(|x| x * x).sum();
        // (I - 2 v v'/v'v) A (I - 2 v v'/v'v)
        let image: Vec<f64> = matrix
            .chunks(n)
            .map(|row| row.iter().zip(&v).map(|(a, x)| a * x).sum())
            .collect();
        let twice: f64 = v.iter().zip(&image).map(|(x, y)| x * y).sum::<f64>() * 4.0 / (length2 * length2);
        for i in 0..n {
            for j in 0..n {
                matrix[i * n + j] += twice * v[i] * v[j] - 2.0 / length2 * (v[i] * image[j] + image[i] * v[j]);
            }
        }
    }
    matrix
}

/// exp(-sum q ln q), q = x / sum x.
fn erank(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let sum: f64 = values.clone().sum();
    values
        .map(|x| x / sum)
        .filter(|q| *q > 0.0)
        .map(|q| -q * q.ln())
        .sum::<f64>()
        .exp()
}

/// Estimates and errors of erank_sigma, erank_lambda and stable_rank, of one repetition each, where so many dimensions are
/// searched for leading eigenvalues.
fn estimates(values: &[f64], backend: &Backend, dimensions: usize, repetitions: u32) -> Vec<[(f64, f64); 3]> {
    let n = values.len();
    let matrix = with_spectrum(values);
    let trace: f64 = (0..n).map(|k| matrix[k * n + k]).sum();
    let repetition = |seed: u32| {
        let matrix = matrix.clone();
        let sums = filled(8, move |_| vec![trace, 1.0, 1.0, n as f64, 1.0, 0.0, 0.0, 0.0]);
        let buffers = vec![
            filled(n * n, move |_| matrix.clone()),
            sums,
            filled(9, |_| vec![1.0; 9]),
            poison(3),
            poison(lanczos_room(n, PROBES)),
        ];
        let params = [n, PROBES, dimensions];
        let case = Case::new(Kernel::Lanczos, "coverage", &[], &params, buffers, Unused);
        let block = move |_: &mut Rng| {
            let mut block = vec![0; control::WORDS];
            block[control::ACTIVE] = 1;
            block[control::due(Segment::Step)] = 1;
            (block[control::SEED_LOW], block[control::STEP]) = (seed / 7, seed % 7);
            Values::Words(block)
        };
        let case = case.beside("block", Arena::Control, control::WORDS, Box::new(block));
        let contents = case.contents(1, backend.precision);
        let found = outputs_of(&case, backend, contents).expect("a launch");
        let (ranks, errors) = (numbers(&found["ranks"]), numbers(&found["errors"]));
        [0, 1, 4].map(|k| (ranks[k], errors[if k == 4 { 2 } else { k }]))
    };
    (0..repetitions).into_par_iter().map(repetition).collect()
}

/// Ten large eigenvalues on a bulk.
fn outliers() -> Vec<f64> {
    let bulk = |k: usize| 0.5 + (k as f64 + 0.5) / N as f64;
    (0..N)
        .map(|k| if k < 10 { 1000.0 / (k + 1) as f64 } else { bulk(k) })
        .collect()
}

fn power_law() -> Vec<f64> {
    (0..N).map(|k| ((k + 1) as f64).powf(-1.5)).collect()
}

/// Quantiles of the law of Marchenko and Pastur for 210 parameters and 300 samples: 90 zeros, and a bulk with two edges.
fn marchenko_pastur() -> Vec<f64> {
    let parameters = 210;
    let ratio = N as f64 / parameters as f64;
    let (low, high) = ((1.0 - ratio.sqrt()).powi(2), (1.0 + ratio.sqrt()).powi(2));
    let steps = 200_000;
    let width = (high - low) / f64::from(steps);
    let at = |k: u32| low + (f64::from(k) + 0.5) * width;
    let density = |x: f64| ((high - x) * (x - low)).sqrt() / (x * std::f64::consts::TAU);
    let mass: f64 = (0..steps).map(|k| density(at(k)) * width).sum();
    let mut values = vec![0.0; N - parameters];
    let mut passed = 0.0;
    for k in 0..steps {
        passed += density(at(k)) * width / mass;
        if passed * parameters as f64 >= (values.len() + parameters - N) as f64 + 0.5 {
            values.push(at(k));
        }
    }
    values
}

#[test]
fn lanczos_intervals_cover_known_ranks() {
    let double = backends(Kernel::Lanczos, Some(Precision::F64))[0];
    for (what, values) in [
        ("outliers", outliers()),
        ("power law", power_law()),
        ("Marchenko-Pastur", marchenko_pastur()),
    ] {
        assert_eq!(values.len(), N, "{what}");
        let largest = values.iter().fold(0.0, |m: f64, x| m.max(*x));
        let truth = [
            erank(values.iter().map(|x| x.sqrt())),
            erank(values.iter().copied()),
            values.iter().sum::<f64>() / largest,
        ];
        let found = estimates(&values, &double, KRYLOV, REPETITIONS);
        for (k, name) in ["erank_sigma", "erank_lambda"].into_iter().enumerate() {
            let missed = found
                .iter()
                .filter(|all| (all[k].0 - truth[k]).abs() > T * all[k].1)
                .count();
            let error = found.iter().map(|all| all[k].1).sum::<f64>() / found.len() as f64 / truth[k];
            let mean = found.iter().map(|all| all[k].0).sum::<f64>() / found.len() as f64;
            println!(
                "{what} {name}: {} true, {mean} found, error {error:.1e}, {missed} of {REPETITIONS} missed",
                truth[k]
            );
            // Of 200 intervals of 95 % ten should miss; fewer than 1 or more than 21 do at a chance of 1e-3 in all.
            assert!(
                (1..=21).contains(&missed),
                "{what} {name}: {missed} of {REPETITIONS} miss {}",
                truth[k]
            );
            assert!(error < 0.03, "{what} {name}: errors of {error}");
        }
        // A bound, which must hold always.
        for all in &found {
            let (stable, bound) = all[2];
            assert!(
                (stable - truth[2]).abs() <= bound + 1e-12 * stable,
                "{what}: {stable} +- {bound}, expected {}",
                truth[2]
            );
        }
    }
}

/// Most repetitions of which an interval misses, of forty, and largest mean error in units of the interval's.
const FEW: (usize, f64) = (13, 1.0);

/// A matrix so small that every backend ends soon, of which a third is searched: so the rest is left to the probes.
fn covers_a_small_spectrum(backend: &Backend) {
    let n = 48;
    let outliers = |k: usize| {
        if k < 3 {
            100.0 / (k + 1) as f64
        } else {
            0.5 + k as f64 / n as f64
        }
    };
    let power_law = |k: usize| ((k + 1) as f64).powf(-1.5);
    let low_rank = |k: usize| if k < 20 { 1.0 + k as f64 } else { 0.0 };
    let spectra: [(&str, &dyn Fn(usize) -> f64); 3] = [
        ("outliers", &outliers),
        ("power law", &power_law),
        ("low rank", &low_rank),
    ];
    for (what, value) in spectra {
        let values: Vec<f64> = (0..n).map(value).collect();
        let largest = values.iter().fold(0.0, |m: f64, x| m.max(*x));
        let truth = [
            erank(values.iter().map(|x| x.sqrt())),
            erank(values.iter().copied()),
            values.iter().sum::<f64>() / largest,
        ];
        let found = estimates(&values, backend, 16, 40);
        for (k, name) in ["erank_sigma", "erank_lambda", "stable_rank"].into_iter().enumerate() {
            let off = |all: &[(f64, f64); 3]| (all[k].0 - truth[k]) / all[k].1.max(1e-5 * truth[k]);
            let missed = found.iter().filter(|all| off(all).abs() > T).count();
            let mean = found.iter().map(off).sum::<f64>() / found.len() as f64;
            println!(
                "{what} {name} on {}: {missed} of 40 missed, mean {mean:.2}",
                backend.title()
            );
            assert!(
                missed <= FEW.0 && mean.abs() <= FEW.1,
                "{what} {name}: {missed} missed, mean {mean}"
            );
            let error = found.iter().map(|all| all[k].1 / truth[k]).sum::<f64>() / found.len() as f64;
            assert!(error < 0.3, "{what} {name}: errors of {error}");
        }
    }
}

#[test]
fn lanczos_covers_a_small_spectrum() {
    for backend in backends(Kernel::Lanczos, None) {
        // Only the threshold depends on the precision, and on the host a launch of CUDA takes its time.
        if backend.name == "cpu" || backend.precision == Precision::F64 {
            covers_a_small_spectrum(&backend);
        }
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_lanczos_covers_a_small_spectrum() {
    if let Err(reason) = (crate::backends::WGPU.capabilities)() {
        println!("Unsupported: {reason}");
        return;
    }
    covers_a_small_spectrum(&crate::backends::WGPU);
}
