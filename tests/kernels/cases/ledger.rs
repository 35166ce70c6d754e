//! The parts of an update along the gradients of properties, and their running sums.

use gmatrix::plan::{BLOCK, Kernel, control};
use gmatrix::stats::columns;

use super::optimizer::{decay_of, moments, pull_of, rates, rows, spans};
use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{filled, filled_words, normal, poison};
use crate::numbers::{Real, sum};

struct Decompose;

impl Oracle for Decompose {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [len, _, properties, full] = x.params();
        let gradients = x.real::<T>("gradients");
        let row = |place: usize| &gradients[place * len..][..len];
        let shaped = x.flag("SHAPED").then(|| x.real::<T>("shaped"));
        // What is taken, what of it is the step's own, and the whole split's share.
        let from = |place: usize| match &shaped {
            Some(rows) => &rows[place * len..][..len],
            None => row(place),
        };
        let (taken, now) = (from(0), from(usize::from(shaped.is_some())));
        let (theta, moments) = (x.real::<T>("theta"), x.real::<T>("moments"));
        let (rates, spans) = (x.plain("scalars"), x.words("spans"));
        let rate = |place: usize| T::new(rates[place]);
        let one = T::new(1.0);
        let (lr, beta1, beta2) = (rate(control::LR), rate(control::BETA1), rate(control::BETA2));
        let kind = x.constant("OPTIMIZER");
        let parts = rows(kind) + 1;
        // selection, lagged, noise, decay and decay_lagged of every weight
        let split = |k: usize| -> [T; 5] {
            let decay = T::new(decay_of(k, spans, rates));
            let (w, g, g_full, v) = (theta[k], taken[k], from(full)[k], moments[len + k]);
            // The moment is that of gradients and that of decay.
            let d = if parts == 5 { moments[3 * len + k] } else { T::new(0.0) };
            let m = moments[k] - d;
            let pull = pull_of(w, decay, rates);
            let (noise, earlier) = (now[k] - g_full, g - now[k]);
            match kind {
                0 => [
                    -(lr * g_full),
                    -(lr * earlier),
                    -(lr * noise),
                    -(lr * pull),
                    T::new(0.0),
                ],
                1 => [
                    -(lr * g_full),
                    -(lr * (beta1 * m + earlier)),
                    -(lr * noise),
                    -(lr * pull),
                    -(lr * beta1 * d),
                ],
                4 => {
                    let ahead = lr * (one + beta1);
                    let lagged = -(lr * beta1 * beta1 * m + ahead * earlier);
                    [
                        -(ahead * g_full),
                        lagged,
                        -(ahead * noise),
                        -(ahead * pull),
                        -(lr * beta1 * beta1 * d),
                    ]
                }
                kind => {
                    let coupled = if kind == 2 { pull } else { T::new(0.0) };
                    let v = beta2 * v + (one - beta2) * (g + coupled) * (g + coupled);
                    let root = (v / rate(control::CORRECTION2)).sqrt() + rate(control::EPS);
                    let step = lr / rate(control::CORRECTION1) / root;
                    let now = -(step * (one - beta1));
                    let decayed = if kind == 2 { now * coupled } else { -(lr * pull) };
                    [
                        now * g_full,
                        now * earlier - step * beta1 * m,
                        now * noise,
                        decayed,
                        -(step * beta1 * d),
                    ]
                }
            }
        };
        let changes: Vec<[T; 5]> = (0..len).map(split).collect();
        let mut partial = Vec::new();
        for block in 0..len.div_ceil(BLOCK) {
            let range = block * BLOCK..len.min((block + 1) * BLOCK);
            for a in 1..=properties {
                partial.extend((1..=properties).map(|b| sum(range.clone().map(|k| row(a)[k] * row(b)[k]))));
            }
            for a in 1..=properties {
                partial.extend((0..parts).map(|part| sum(range.clone().map(|k| row(a)[k] * changes[k][part]))));
            }
        }
        Expected::new().with("partial", partial)
    }
}

pub fn decompose() -> Vec<Case> {
    let case = |len: usize, kind: u32, shaped: u32, properties: usize, full: usize| {
        let spans = spans(len);
        let tensors = spans.len() / 2;
        let width = properties * properties + (rows(kind) + 1) * properties;
        let mut buffers = vec![normal((1 + properties) * len)];
        let full = if shaped == 1 { 1 + full.min(1) } else { full };
        if shaped == 1 {
            buffers.push(normal(3 * len));
        }
        buffers.extend([
            normal(len),
            filled(rows(kind) * len, move |rng| moments(rng, len, rows(kind))),
            filled(control::RATES, |_| rates(5.0)),
            filled_words(spans.len(), move |_| spans.clone()),
            poison(width * len.div_ceil(BLOCK)),
        ]);
        Case::new(
            Kernel::Decompose,
            format!("len={len} properties={properties} full={full}"),
            &[("OPTIMIZER", kind), ("SHAPED", shaped)],
            &[len, tensors, properties, full],
            buffers,
            Decompose,
        )
    };
    let shapes = [(1, 1, 0), (31, 2, 1), (345, 5, 3), (97, 3, 0), (BLOCK + 33, 2, 2)];
    let rules = (0..5).flat_map(|kind| [(kind, 0), (kind, 1)]);
    rules
        .flat_map(|(kind, shaped)| shapes.map(|(len, properties, full)| case(len, kind, shaped, properties, full)))
        .collect()
}

struct Ledger;

impl Oracle for Ledger {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [properties] = x.params();
        let (products, change, value) = (x.real::<T>("products"), x.real::<T>("change"), x.real::<T>("value"));
        let (mut ledger, mut scalars) = (x.real::<T>("ledger"), x.real::<T>("scalars"));
        let row = &mut scalars[control::RATES + columns::PROPERTIES..];
        for k in 0..properties {
            let count = 4 + usize::from(x.flag("REMEMBERED"));
            let mut parts = products[properties * properties + count * k..][..count].to_vec();
            if x.flag("HELD") {
                parts[3] = parts[3] + x.real::<T>("held")[k];
            }
            let book = &mut ledger[9 * k..][..9];
            let predicted = sum(parts.iter().copied());
            let second = change[k] - predicted;
            for part in 0..count {
                book[part] = book[part] + parts[part];
            }
            book[5] = book[5] + second;
            if book[8] > T::new(0.0) {
                book[6] = book[6] + (value[k] - book[7]);
            }
            book[7] = value[k] + change[k];
            book[8] = T::new(1.0);
            let total = sum(book[..7].iter().copied());
            let mut shown = book[..7].to_vec();
            if count == 4 {
                parts.push(T::new(f64::NAN));
                shown[4] = T::new(f64::NAN);
            }
            let out = [
                &[value[k], predicted, change[k]],
                &parts[..],
                &[second],
                &shown,
                &[total],
            ]
            .concat();
            row[k * columns::PER_PROPERTY..][..columns::PER_PROPERTY].copy_from_slice(&out);
        }
        let pairs = properties * properties;
        row[properties * columns::PER_PROPERTY..][..pairs].copy_from_slice(&products[..pairs]);
        Expected::new().with("ledger", ledger).with("scalars", scalars)
    }
}

pub fn ledger() -> Vec<Case> {
    let case = |properties: usize, started: bool, held: u32, remembered: u32| {
        let k = properties;
        let width = control::RATES + columns::PROPERTIES + k * columns::PER_PROPERTY + k * k;
        let books = filled(9 * k, move |rng| {
            let mut books = if started { rng.normals(9 * k) } else { vec![0.0; 9 * k] };
            books
                .chunks_exact_mut(9)
                .for_each(|book| book[8] = f64::from(u8::from(started)));
            books
        });
        // Something beyond the row must stay.
        let mut buffers = vec![normal(k * k + (4 + remembered as usize) * k)];
        if held == 1 {
            buffers.push(normal(k));
        }
        buffers.extend([normal(k), normal(k), books, normal(width + 3)]);
        Case::new(
            Kernel::Ledger,
            format!("properties={k} started={started}"),
            &[("HELD", held), ("REMEMBERED", remembered)],
            &[k],
            buffers,
            Ledger,
        )
    };
    let flags = [(false, 0), (true, 0), (true, 1)];
    let books = flags
        .into_iter()
        .flat_map(|(started, held)| [0, 1].map(|remembered| (started, held, remembered)));
    [1, 2, 5]
        .into_iter()
        .flat_map(|k| {
            books
                .clone()
                .map(move |(started, held, remembered)| case(k, started, held, remembered))
        })
        .collect()
}
