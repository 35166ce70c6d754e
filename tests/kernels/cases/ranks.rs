//! Spectra, ranks, and the statistics of a batch.

use gmatrix::backend::Precision;
use gmatrix::plan::{Kernel, control};
use gmatrix::stats::columns;

use super::gradients::unscale;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Rng, exponents, filled, normal, poison};
use crate::numbers::{Real, largest, sum};

struct Spectrum;

impl Oracle for Spectrum {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [_, n] = x.params();
        let forms = x.real::<T>("forms");
        let eigenvalues = forms.chunks_exact(n * n).flat_map(|matrix| jacobi(matrix, n)).collect();
        Expected::new().with("eigenvalues", eigenvalues).and_not("forms")
    }
}

/// Eigenvalues by Jacobi's rotations, ascending.
pub fn jacobi<T: Real>(matrix: &[T], n: usize) -> Vec<T> {
    let (zero, one, two) = (T::new(0.0), T::new(1.0), T::new(2.0));
    let mut a = matrix.to_vec();
    let negligible = 1e-36 * largest(a.iter().map(|x| x.abs())).expect("an entry").value();
    for _ in 0..12 {
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p * n + q];
                if off.abs().value() <= negligible {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (two * off);
                let sign = if theta < zero { -one } else { one };
                let t = sign / (theta.abs() + (theta * theta + one).sqrt());
                let c = one / (t * t + one).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
            }
        }
    }
    let mut values: Vec<T> = (0..n).map(|k| a[k * n + k]).collect();
    values.sort_by(|x, y| x.partial_cmp(y).expect("finite eigenvalues"));
    // Their errors are relative to the largest of them.
    let top = T::new(largest(values.iter().map(|v| v.abs())).expect("an eigenvalue").value());
    values.iter().map(|v| (T::new(v.value()) + top) - top).collect()
}

pub fn spectrum() -> Vec<Case> {
    let case = |matrices: usize, n: usize| {
        // Indefinite, positive semidefinite of rank 3, diagonal.
        let forms = filled(matrices * n * n, move |rng| {
            let mut forms = Vec::new();
            for kind in 0..matrices {
                let g = rng.normals(n * n);
                forms.extend((0..n * n).map(|k| (k / n, k % n)).map(|(i, j)| match kind % 3 {
                    0 => g[i.max(j) * n + i.min(j)],
                    1 => (0..3.min(n)).map(|k| g[i * n + k] * g[j * n + k]).sum(),
                    _ if i == j => g[i],
                    _ => 0.0,
                }));
            }
            forms
        });
        let buffers = vec![forms, poison(matrices * n)];
        Case::new(
            Kernel::Spectrum,
            format!("matrices={matrices} n={n}"),
            &[],
            &[matrices, n],
            buffers,
            Spectrum,
        )
        .looser(
            64.0,
            "backward error of a tridiagonal reduction grows with n, about n/2 here",
        )
    };
    vec![case(1, 1), case(3, 2), case(3, 13), case(3, 31)]
}

struct RankStatistics;

/// Place of the first number of a form in the sums, and of its columns.
const FORMS: [(usize, usize); 3] = [(0, columns::RAW), (8, columns::COSINE), (16, columns::CENTRED)];

pub fn entropy_rank<T: Real>(x: &[T]) -> T {
    let total = sum(x.iter().copied());
    let q = x.iter().map(|v| *v / total).filter(|q| *q > T::new(0.0));
    sum(q.map(|q| -(q * q.ln()))).exp()
}

impl Oracle for RankStatistics {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, parameters] = x.params();
        let sums = x.real::<T>("sums");
        let null = T::new(f64::NAN);
        let epsilon = x.precision.epsilon();
        let mut scalars = x.real::<T>("scalars");
        let after = &x.plain_after("scalars")[control::RATES..];
        let row = &mut scalars[control::RATES..];
        row[columns::N] = T::new(n as f64);
        row[columns::PARAMETERS] = T::new(parameters as f64);
        let pairs = sums[25];
        row[columns::MEAN_COSINE] = sums[24] / pairs;
        row[columns::MIN_COSINE] = if pairs > T::new(0.0) { sums[26] } else { null };
        row[columns::NEGATIVE_FRACTION] = sums[27] / pairs;
        row[columns::CENTRING_CONDITION] = sums[28];
        for (form, (head, first)) in FORMS.into_iter().enumerate() {
            let out = &mut row[first..first + columns::FORM];
            if form == 2 && sums[28].value() * epsilon > 1.2e-5 {
                out.fill(null);
                continue;
            }
            let [trace, frobenius2, diagonal2, samples] = [0, 1, 2, 3].map(|k| sums[head + k]);
            out[2] = trace * trace / frobenius2;
            out[3] = if form < 2 {
                // [((tr K)^2 - sum K_ii^2)/(n (n - 1))] / mean of K_ij^2 over i != j
                (trace * trace - diagonal2) / (frobenius2 - diagonal2)
            } else {
                centred_population_ratio(trace, frobenius2, diagonal2, samples)
            };
            let spectrum = x
                .flag("SPECTRUM")
                .then(|| x.real::<T>("eigenvalues")[form * n..][..n].to_vec());
            let top = spectrum
                .as_ref()
                .and_then(|s| largest(s.iter().copied()))
                .filter(|top| *top > T::new(0.0));
            match (spectrum, top) {
                (Some(values), Some(top)) => {
                    let least = 4.0 * n as f64 * epsilon * top.value();
                    let kept: Vec<T> = values.iter().copied().filter(|l| l.value() >= least).collect();
                    out[0] = entropy_rank(&kept.iter().map(|l| l.sqrt()).collect::<Vec<_>>());
                    out[1] = entropy_rank(&kept);
                    out[4] = trace / top;
                    out[5] = T::new(kept.len() as f64);
                    out[6] = T::new(values.iter().filter(|l| **l < T::new(0.0)).count() as f64);
                }
                _ => [0, 1, 4, 5, 6].into_iter().for_each(|k| out[k] = null),
            }
            // The nulls have a test of their own, against draws.
            (out[7], out[8]) = (T::new(after[first + 7]), T::new(after[first + 8]));
        }
        Expected::new().with("scalars", scalars)
    }
}

/// SCIENCE of the docs: with S the (n - 1)-normalised covariance and Q = sum |g_i - mean|^4 / (n - 1).
pub fn centred_population_ratio<T: Real>(trace: T, frobenius2: T, diagonal2: T, n: T) -> T {
    let k = |x: f64| T::new(x);
    if n.value() < 4.0 {
        return k(f64::NAN);
    }
    let m = n - k(1.0);
    let (s, s2, q) = (trace / m, frobenius2 / (m * m), diagonal2 / m);
    let c = m / (n * (n - k(2.0)) * (n - k(3.0)));
    let numerator = c * (k(2.0) * s2 + (n * n - k(3.0) * n + k(1.0)) * s * s - n * q);
    let denominator = c * (m * (n - k(2.0)) * s2 + s * s - n * q);
    numerator / denominator
}

pub fn rank_statistics() -> Vec<Case> {
    let case = |n: usize, parameters: usize, spectrum: u32, condition: f64, alive: bool| {
        let factor = if alive { 1.0 } else { 0.0 };
        let sums = filled(32 + 3 * n, move |rng| {
            let mut sums = vec![0.0; 32 + 3 * n];
            for form in 0..3 {
                let diagonal: Vec<f64> = (0..n).map(|_| factor * rng.uniform(0.1, 3.0)).collect();
                // One sample alone must have squares that are exact.
                let diagonal = if n == 1 { vec![1.5] } else { diagonal };
                sums[8 * form] = diagonal.iter().sum();
                sums[8 * form + 2] = diagonal.iter().map(|d| d * d).sum();
                // Off the diagonal a tenth of what would make rank 1.
                let off = sums[8 * form].powi(2) - sums[8 * form + 2];
                sums[8 * form + 1] = sums[8 * form + 2] + 0.1 * off;
                sums[8 * form + 3] = n as f64;
                sums[32 + form * n..][..n].copy_from_slice(&diagonal);
            }
            sums[24..29].copy_from_slice(&[factor * 3.25, factor * 7.0, factor * -0.5, factor * 2.0, condition]);
            sums
        });
        let mut buffers = vec![sums];
        if spectrum == 1 {
            buffers.push(filled(3 * n, move |rng| eigenvalues(rng, n, factor)));
        }
        buffers.push(normal(control::RATES + columns::PROPERTIES));
        Case::new(
            Kernel::RankStatistics,
            format!("n={n} P={parameters} condition={condition} alive={alive}"),
            &[("SPECTRUM", spectrum)],
            &[n, parameters],
            buffers,
            RankStatistics,
        )
    };
    let mut cases = Vec::new();
    for spectrum in [0, 1] {
        cases.extend([1, 2, 3, 4, 31, 97].map(|n| case(n, 5000, spectrum, 3.0, true)));
        // Fewer parameters than the closed form of the nulls needs; centring that costs too much; all zero.
        cases.push(case(33, 40, spectrum, 90.0, true));
        cases.push(case(33, 5000, spectrum, 1e5, true));
        cases.push(case(33, 5000, spectrum, 3e11, true));
        cases.push(case(33, 5000, spectrum, f64::NAN, false));
    }
    cases
}

/// Ascending, over many decades, some of them rounding errors of either sign.
pub fn eigenvalues(rng: &mut Rng, n: usize, factor: f64) -> Vec<f64> {
    let mut all = Vec::new();
    for form in 0..3 {
        let mut values: Vec<f64> = (0..n).map(|_| 10f64.powf(rng.uniform(-3.0, 1.0))).collect();
        values[..n / 5].iter_mut().for_each(|v| *v = 1e-17 * rng.normal());
        if n > 20 {
            // On both sides of the line below which eigenvalues are rounding errors of either precision.
            let line = |precision: Precision| 4.0 * n as f64 * precision.epsilon() * 10.0;
            values[n - 5] = 10.0;
            for (k, precision) in [Precision::F32, Precision::F64].into_iter().enumerate() {
                values[n - 2 * k - 1] = 1.2 * line(precision);
                values[n - 2 * k - 2] = 0.8 * line(precision);
            }
            values.iter_mut().for_each(|v| *v = v.min(10.0));
        }
        values.iter_mut().for_each(|v| *v *= factor * (1 + form) as f64);
        values.sort_by(f64::total_cmp);
        all.extend(values);
    }
    all
}

struct BatchStatistics;

impl Oracle for BatchStatistics {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n] = x.params();
        let count = T::new(n as f64);
        let one = T::new(1.0);
        let scaled = x.real::<T>("norm");
        let factors = x.words("exponent").iter().map(|e| T::new(unscale(*e)));
        let norms: Vec<T> = scaled.iter().zip(factors).map(|(s, f)| s.sqrt() * f).collect();
        let alive: Vec<T> = norms.iter().copied().filter(|x| *x > T::new(0.0)).collect();
        let mut scalars = x.real::<T>("scalars");
        // |mean g|^2
        let mean_square = scalars[control::MEAN_SQUARE];
        let row = &mut scalars[control::RATES..];
        row[columns::N_BATCH] = count;
        row[columns::ZERO_GRADIENTS] = T::new((n - alive.len()) as f64);
        row[columns::NORM_MEAN] = sum(norms.iter().copied()) / count;
        row[columns::NORM_MIN] = norms
            .iter()
            .copied()
            .reduce(|a, b| if b < a { b } else { a })
            .expect("a sample");
        row[columns::NORM_MAX] = largest(norms.iter().copied()).expect("a sample");
        let logs: Vec<T> = alive.iter().map(|x| x.ln()).collect();
        let mean = sum(logs.iter().copied()) / T::new(logs.len() as f64);
        let variance = sum(logs.iter().map(|l| (*l - mean) * (*l - mean))) / T::new(logs.len() as f64);
        row[columns::NORM_LOG_SD] = variance.sqrt();
        let square = sum(norms.iter().map(|x| *x * *x));
        let total = mean_square * count * count;
        let alpha = total / (count * square);
        row[columns::COHERENCE] = alpha;
        let rest = [columns::COHERENCE_UNBIASED, columns::NOISE_TRACE, columns::NOISE_G2];
        if n == 1 {
            // One sample says nothing about the spread.
            rest.into_iter().for_each(|column| row[column] = T::new(f64::NAN));
        } else {
            row[rest[0]] = (count * alpha - one) / (count - one);
            row[rest[1]] = (square - total / count) / (count - one);
            row[rest[2]] = (total - square) / (count * (count - one));
        }
        Expected::new().with("scalars", scalars)
    }
}

pub fn batch_statistics() -> Vec<Case> {
    let case = |n: usize, zeros: usize| {
        let norms = filled(n, move |rng| {
            (0..n)
                .map(|k| {
                    if k < zeros {
                        0.0
                    } else {
                        10f64.powf(rng.uniform(-6.0, 2.0))
                    }
                })
                .collect()
        });
        let scalars = filled(control::RATES + columns::PROPERTIES, move |rng| {
            let mut scalars = rng.normals(control::RATES + columns::PROPERTIES);
            scalars[control::MEAN_SQUARE] = if zeros == n { 0.0 } else { rng.uniform(0.1, 2.0) };
            scalars
        });
        let buffers = vec![norms, exponents(n), scalars];
        Case::new(
            Kernel::BatchStatistics,
            format!("n={n} zeros={zeros}"),
            &[],
            &[n],
            buffers,
            BatchStatistics,
        )
        .looser(
            64.0,
            "the spread of logarithms is formed in one pass about the first of them",
        )
    };
    vec![
        case(1, 0),
        case(1, 1),
        case(2, 0),
        case(31, 5),
        case(97, 0),
        case(345, 344),
        case(345, 345),
    ]
}
