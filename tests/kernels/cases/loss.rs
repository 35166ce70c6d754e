//! Losses and properties of the logits.

use gmatrix::plan::Kernel;

use super::gradients::unscale;
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Rng, filled, filled_words, poison, poison_words};
use crate::numbers::{Real, largest, sum};

/// Labels that logits can be made for.
fn label(sample: usize, classes: usize) -> usize {
    (7 * sample + 3) % classes
}

/// Logits of every kind: near each other, the label far ahead or far behind by up to 200, all equal, tied at the top.
fn logits(rng: &mut Rng, n: usize, classes: usize) -> Vec<f64> {
    let mut rows = Vec::new();
    for sample in 0..n {
        let y = label(sample, classes);
        let other = (y + 1 + sample % classes.max(2)) % classes;
        let mut row: Vec<f64> = rng.normals(classes);
        match sample % 8 {
            1 => row.iter_mut().for_each(|z| *z *= 5.0),
            2 => row[y] += rng.uniform(0.0, 200.0),
            3 => row[y] -= rng.uniform(0.0, 200.0),
            4 => row[other] += rng.uniform(0.0, 200.0),
            5 => row.fill(0.5),
            6 => row[y] += rng.uniform(0.0, 30.0),
            7 => {
                row[y] = 6.0;
                row[other] = 6.0;
            }
            _ => {}
        }
        rows.extend(row);
    }
    rows
}

/// p_j of every class, and the sum of p_j over all but `own`.
fn softmax<T: Real>(z: &[T], own: usize) -> (Vec<T>, T) {
    let top = largest(z.iter().copied()).expect("a class");
    let e: Vec<T> = z.iter().map(|v| (*v - top).exp()).collect();
    let total = sum(e.iter().copied());
    let p: Vec<T> = e.into_iter().map(|e| e / total).collect();
    let others = sum(p.iter().enumerate().filter(|(j, _)| *j != own).map(|(_, p)| *p));
    (p, others)
}

/// ln of the sum of exp(z_j) over all but `own`.
fn log_sum_of_others<T: Real>(z: &[T], own: usize) -> T {
    let others: Vec<T> = z
        .iter()
        .enumerate()
        .filter(|(j, _)| *j != own)
        .map(|(_, v)| *v)
        .collect();
    let top = largest(others.iter().copied()).expect("another class");
    top + sum(others.iter().map(|v| (*v - top).exp())).ln()
}

/// Loss and cotangent, not scaled.
fn loss_of<T: Real>(kind: u32, z: &[T], y: usize) -> (T, Vec<T>) {
    let one = T::new(1.0);
    let (p, others) = softmax(z, y);
    match kind {
        3 => {
            let zero = T::new(0.0);
            let s: Vec<T> = z
                .iter()
                .map(|x| if *x < zero { one / (one - *x) } else { *x + one })
                .collect();
            let slope = |j: usize| if z[j] < zero { s[j] * s[j] } else { one };
            let rest = sum(s.iter().enumerate().filter(|(j, _)| *j != y).map(|(_, s)| *s));
            let total = rest + s[y];
            let mut cotangent: Vec<T> = (0..z.len()).map(|j| slope(j) / total).collect();
            cotangent[y] = -(slope(y) * rest / (total * s[y]));
            ((rest / s[y]).ln_1p(), cotangent)
        }
        2 => {
            let v = T::new(z.len() as f64);
            let off: Vec<T> = z
                .iter()
                .enumerate()
                .map(|(j, z)| if j == y { *z - one } else { *z })
                .collect();
            let loss = sum(off.iter().map(|x| *x * *x)) / v;
            (loss, off.into_iter().map(|x| T::new(2.0) * x / v).collect())
        }
        1 => {
            let top = largest(z.iter().copied()).expect("a class");
            let log = sum(z.iter().map(|v| (*v - top).exp())).ln();
            let mut cotangent: Vec<T> = z.iter().map(|v| (*v - top - log).exp()).collect();
            cotangent[y] = cotangent[y] - one;
            (-(z[y] - top - log), cotangent)
        }
        _ => {
            let ahead = z.iter().all(|v| *v <= z[y]);
            let loss = if ahead {
                let gaps = z
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != y)
                    .map(|(_, v)| (*v - z[y]).exp());
                sum(gaps).ln_1p()
            } else {
                let top = largest(z.iter().copied()).expect("a class");
                top - z[y] + sum(z.iter().map(|v| (*v - top).exp())).ln()
            };
            let mut cotangent = p;
            cotangent[y] = -others;
            (loss, cotangent)
        }
    }
}

/// Cotangents as the kernel scales them: by the power of two that it names itself.
fn scaled<T: Real>(x: &Data, sample: usize, cotangent: Vec<T>) -> Vec<T> {
    // In two factors, as one may exceed the range of f32.
    let exponent = x.words_after("exponent")[sample].cast_signed();
    let half = exponent / 2;
    let factors = [half, exponent - half].map(|e| T::new(f64::from(e).exp2()));
    cotangent.into_iter().map(|c| c * factors[0] * factors[1]).collect()
}

struct Loss;

impl Oracle for Loss {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, classes] = x.params();
        let (logits, labels) = (x.real::<T>("logits"), x.words("labels"));
        let (mut loss, mut hit, mut cotangent) = (Vec::new(), Vec::new(), Vec::new());
        for sample in 0..n {
            let (z, y) = (&logits[sample * classes..][..classes], labels[sample] as usize);
            let (l, c) = loss_of(x.constant("LOSS"), z, y);
            loss.push(l);
            // The first of the largest counts.
            let first = (0..classes)
                .rev()
                .fold(classes - 1, |best, j| if z[j] >= z[best] { j } else { best });
            hit.push(u32::from(first == y));
            if x.flag("GRADIENT") {
                cotangent.extend(scaled(x, sample, c));
            }
        }
        let expected = Expected::new().with("loss", loss).and_words("hit", hit);
        if x.flag("GRADIENT") {
            expected.with("cotangent", cotangent)
        } else {
            expected
        }
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        if x.flag("GRADIENT") { in_unit_range(x) } else { Ok(()) }
    }
}

/// The largest entry of every sample's cotangent lies in [1/2, 1] (1 by rounding), or all are zero with exponent 0.
fn in_unit_range(x: &Data) -> Result<(), String> {
    let classes = x.case.params[1];
    let exponents = x.words_after("exponent");
    for (sample, row) in x.plain_after("cotangent").chunks_exact(classes).enumerate() {
        let top = row.iter().fold(0.0, |top: f64, c| top.max(c.abs()));
        let exponent = exponents[sample].cast_signed();
        if !((0.5..=1.0).contains(&top) || (top == 0.0 && exponent == 0)) {
            return Err(format!("sample {sample}: largest cotangent {top}, exponent {exponent}"));
        }
    }
    Ok(())
}

/// Samples and classes.
const SHAPES: [[usize; 2]; 5] = [[1, 2], [31, 33], [97, 113], [345, 5], [9, 345]];

pub fn loss() -> Vec<Case> {
    let case = |[n, classes]: [usize; 2], kind: u32, gradient: u32| {
        let labels = (0..n).map(|sample| label(sample, classes) as u32).collect::<Vec<_>>();
        let mut buffers = vec![
            filled(n * classes, move |rng| logits(rng, n, classes)),
            filled_words(n, move |_| labels.clone()),
            poison(n),
            poison_words(n),
        ];
        if gradient == 1 {
            buffers.extend([poison(n * classes), poison_words(n)]);
        }
        let constants = [("LOSS", kind), ("GRADIENT", gradient)];
        Case::new(
            Kernel::Loss,
            format!("n={n} classes={classes}"),
            &constants,
            &[n, classes],
            buffers,
            Loss,
        )
    };
    let mut cases: Vec<Case> = (0..4)
        .flat_map(|kind| {
            SHAPES
                .into_iter()
                .flat_map(move |s| [case(s, kind, 0), case(s, kind, 1)])
        })
        .collect();
    // One class alone: no loss, no gradient.
    cases.extend([0, 1, 3].map(|kind| case([33, 1], kind, 1)));
    cases
}

struct Property;

impl Oracle for Property {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [n, classes, class] = x.params();
        let (logits, labels) = (x.real::<T>("logits"), x.words("labels"));
        let (mut value, mut cotangent) = (Vec::new(), Vec::new());
        for sample in 0..n {
            let z = &logits[sample * classes..][..classes];
            let kind = x.constant("PROPERTY");
            let own = if kind == 2 { labels[sample] as usize } else { class };
            let (p, others) = softmax(z, own);
            let mut c = vec![T::new(0.0); classes];
            match kind {
                0 => {
                    value.push(z[own]);
                    c[own] = T::new(1.0);
                }
                1 => {
                    value.push(p[own]);
                    c = p.iter().map(|q| -(p[own] * *q)).collect();
                    c[own] = p[own] * others;
                }
                _ => {
                    let log = log_sum_of_others(z, own);
                    value.push(z[own] - log);
                    c = z.iter().map(|v| -((*v - log).exp())).collect();
                    c[own] = T::new(1.0);
                }
            }
            if x.flag("GRADIENT") {
                cotangent.extend(scaled(x, sample, c));
            }
        }
        let expected = Expected::new().with("value", value);
        if x.flag("GRADIENT") {
            expected.with("cotangent", cotangent)
        } else {
            expected
        }
    }

    fn check(&self, x: &Data) -> Result<(), String> {
        let scaled = x.flag("GRADIENT") && x.constant("PROPERTY") == 1;
        if scaled { in_unit_range(x) } else { Ok(()) }
    }
}

pub fn property() -> Vec<Case> {
    let case = |[n, classes]: [usize; 2], kind: u32, gradient: u32| {
        let labels = (0..n).map(|sample| label(sample, classes) as u32).collect::<Vec<_>>();
        let mut buffers = vec![
            filled(n * classes, move |rng| logits(rng, n, classes)),
            filled_words(n, move |_| labels.clone()),
            poison(n),
        ];
        if gradient == 1 {
            buffers.extend([poison(n * classes), poison_words(n)]);
        }
        Case::new(
            Kernel::Property,
            format!("n={n} classes={classes}"),
            &[("PROPERTY", kind), ("GRADIENT", gradient)],
            &[n, classes, classes / 2],
            buffers,
            Property,
        )
    };
    (0..3)
        .flat_map(|kind| {
            SHAPES
                .into_iter()
                .flat_map(move |s| [case(s, kind, 0), case(s, kind, 1)])
        })
        .collect()
}

/// Loss and true cotangents of one sample, for tests of their digits.
pub fn cross_entropy<T: Real>(z: &[T], y: usize) -> (T, Vec<T>) {
    loss_of(0, z, y)
}

/// A case on given logits.
pub fn loss_on(kind: u32, logits: Vec<f64>, labels: Vec<u32>) -> Case {
    let n = labels.len();
    let classes = logits.len() / n;
    let buffers = vec![
        filled(logits.len(), move |_| logits.clone()),
        filled_words(n, move |_| labels.clone()),
        poison(n),
        poison_words(n),
        poison(n * classes),
        poison_words(n),
    ];
    Case::new(
        Kernel::Loss,
        "given",
        &[("LOSS", kind), ("GRADIENT", 1)],
        &[n, classes],
        buffers,
        Loss,
    )
}

/// What a kernel's scaled cotangents stand for.
pub fn unscaled(cotangent: &[f64], exponent: &[u32]) -> Vec<f64> {
    let classes = cotangent.len() / exponent.len();
    cotangent
        .iter()
        .enumerate()
        .map(|(k, c)| c * unscale(exponent[k / classes]))
        .collect()
}
