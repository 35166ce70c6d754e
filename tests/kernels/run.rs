//! Runs a case on a backend: alone, beside a neighbour full of NaN, and on pools of different sizes, with sentinels on
//! both sides of every buffer.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use gmatrix::backend::{Precision, Values};
use gmatrix::plan::{Access, Arena, Element, Kernel, Plan, PlanBuilder, Segment, View};
use gmatrix::{ErrorKind, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::backends::{BACKENDS, Backend};
use crate::case::{Case, Data, words};
use crate::compare::{Verdict, compare, same_bits};

/// Sentinels before and behind a buffer's contents; odd, so that contents start at odd places.
pub const FRONT: usize = 37;
pub const BACK: usize = 61;

/// What became of a case on a backend.
pub enum Status {
    /// It ran and every check held; its largest error, in units of the bound.
    Ran(f64),
    /// The backend does not do it, for this reason.
    Unsupported(String),
}

/// Runs cases on these backends.
///
/// # Panics
/// If a check fails, or a backend named in `GMATRIX_REQUIRE` does not support a case.
pub fn conform(cases: &[Case], on: &[Backend]) {
    assert!(!cases.is_empty(), "a kernel without cases");
    let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
    let mut complaints = Vec::new();
    for backend in on {
        let mut ran = 0;
        let mut worst = (0.0, String::new());
        for case in cases {
            match check(case, backend) {
                Ok(Status::Ran(share)) => {
                    ran += 1;
                    if share >= worst.0 {
                        worst = (share, case.title());
                    }
                }
                Ok(Status::Unsupported(reason)) => {
                    println!("Unsupported: {} on {}: {reason}", case.title(), backend.title());
                    let require = required.split(',').any(|name| name == backend.name);
                    if require && (backend.absent)(case.kernel).is_none() {
                        complaints.push(format!("{} is required: {reason}", backend.title()));
                    }
                }
                Err(complaint) => complaints.push(format!("{} on {}: {complaint}", case.title(), backend.title())),
            }
        }
        println!(
            "Ran: {ran} of {} cases on {}; at most {:.2} of the bound, at {}",
            cases.len(),
            backend.title(),
            worst.0,
            worst.1
        );
    }
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

/// All checks of one case on one backend.
pub fn check(case: &Case, backend: &Backend) -> std::result::Result<Status, String> {
    let first = contents(case, 1, backend);
    let second = ruined(case, contents(case, 2, backend));
    let third = contents(case, 3, backend);
    let [one, three] = pools();

    let alone = match one.install(|| run(case, backend, std::slice::from_ref(&first))) {
        Ok(slots) => slots,
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => {
            let why = (backend.absent)(case.kernel).map_or(String::new(), |why| format!("; it {why}"));
            return Ok(Status::Unsupported(format!("{error}{why}")));
        }
        Err(error) => return Err(error.to_string()),
    };
    let fail = |error: gmatrix::Error| error.to_string();
    let alone_too = one
        .install(|| run(case, backend, std::slice::from_ref(&third)))
        .map_err(fail)?;
    let slots = [first, second, third];
    for (pool, threads) in [(one, 1), (three, 3)] {
        let batch = pool.install(|| run(case, backend, &slots)).map_err(fail)?;
        for (slot, alone) in [(0, &alone[0]), (2, &alone_too[0])] {
            same_slot(case, &batch[slot], alone)
                .map_err(|what| format!("slot {slot} of 3 with {threads} threads is not as alone: {what}"))?;
        }
        sentinels(case, &batch[1], &slots[1]).map_err(|what| format!("beside NaN: {what}"))?;
    }
    let mut worst: f64 = 0.0;
    for (before, after) in [(&slots[0], &alone[0]), (&slots[2], &alone_too[0])] {
        sentinels(case, after, before)?;
        let after: Vec<Values> = after
            .iter()
            .zip(&case.buffers)
            .map(|(v, b)| inner(v, b.arena, b.len))
            .collect();
        worst = worst.max(results(case, before, &after, backend)?);
    }
    Ok(Status::Ran(worst))
}

/// Contents of all buffers for a slot, as the executor keeps them: wide numbers may be pairs of f32.
pub fn contents(case: &Case, seed: u64, backend: &Backend) -> Vec<Values> {
    let mut contents = case.contents(seed, backend.precision);
    if in_pairs(case.kernel, backend) {
        let wide = |buffer: &crate::case::Buf| buffer.arena.element() == Element::Wide;
        for (values, _) in contents
            .iter_mut()
            .zip(&case.buffers)
            .filter(|(_, buffer)| wide(buffer))
        {
            let Values::Numbers(numbers) = values else { continue };
            for x in numbers.iter_mut() {
                let high = f64::from(*x as f32);
                *x = if high.is_finite() {
                    high + f64::from((*x - high) as f32)
                } else {
                    high
                };
            }
        }
    }
    contents
}

/// Whether a backend's wide numbers are pairs of f32.
fn in_pairs(kernel: Kernel, backend: &Backend) -> bool {
    (backend.wide_epsilon)(kernel) > Precision::F64.epsilon()
}

/// Compares what a kernel wrote with its oracle; returns the largest error in units of the bound.
pub fn results(
    case: &Case,
    before: &[Values],
    after: &[Values],
    backend: &Backend,
) -> std::result::Result<f64, String> {
    let precision = backend.precision;
    let wide_epsilon = (backend.wide_epsilon)(case.kernel);
    let data = Data {
        case,
        before,
        after,
        precision,
    };
    let truth = case.oracle.truth(&data);
    let (single, double) = (case.oracle.single(&data), case.oracle.double(&data));
    case.oracle.check(&data)?;
    let mut worst: f64 = 0.0;
    for (buffer, after) in case.buffers.iter().zip(after) {
        let name = buffer.name.as_str();
        if !buffer.access.writes() {
            continue;
        }
        if let Values::Words(found) = after {
            // Words without an expectation are checked by the oracle itself.
            if let Some(expected) = truth.words.get(name) {
                let wrong = found.iter().zip(expected).position(|(a, b)| a != b);
                if let Some(k) = wrong {
                    return Err(format!("{name}[{k}] is {}, expected {}", found[k], expected[k]));
                }
            }
            continue;
        }
        if truth.meaningless.contains(&name) {
            continue;
        }
        let Some(truth) = truth.numbers.get(name) else {
            return Err(format!("the oracle says nothing about {name}"));
        };
        let real = buffer.arena.element() == Element::Real || case.wide_as_real;
        let single_precision = real && precision == Precision::F32;
        let (naive, epsilon): (Vec<f64>, f64) = if single_precision {
            (
                single.numbers[name].iter().map(|x| f64::from(*x)).collect(),
                Precision::F32.epsilon(),
            )
        } else {
            (double.numbers[name].clone(), wide_epsilon)
        };
        match compare(
            crate::case::numbers(after),
            truth,
            &naive,
            case.bound.floor * epsilon,
            // Pairs of f32 have their range.
            single_precision || in_pairs(case.kernel, backend),
        ) {
            Verdict::Holds(share) => worst = worst.max(share),
            Verdict::Fails(what) if case.bound.reason.is_empty() => return Err(format!("{name}{what}")),
            Verdict::Fails(what) => return Err(format!("{name}{what}; loosened: {}", case.bound.reason)),
        }
    }
    Ok(worst)
}

/// One plan with one launch over so many slots; contents of all buffers afterwards, with their sentinels.
pub fn run(case: &Case, backend: &Backend, slots: &[Vec<Values>]) -> Result<Vec<Vec<Values>>> {
    let mut builder = PlanBuilder::new();
    let mut views = Vec::new();
    for buffer in &case.buffers {
        let (front, back) = margins(buffer.arena);
        let view = builder.buffer(buffer.arena, buffer.name.clone(), &[front + buffer.len + back]);
        views.push(view.part(front, buffer.len));
    }
    builder.segment(Segment::Step);
    let call = case.call(&mut builder, &views);
    builder.op(case.title(), vec![call]);
    let plan: Arc<Plan> = Arc::new(builder.finish()?);
    let mut executor = (backend.make)(plan, slots.len())?;
    let buffer_of = |view: &View| match view {
        View::Part { buffer, .. } => *buffer,
        View::Whole(_) => unreachable!("buffers are parts"),
    };
    for (slot, contents) in slots.iter().enumerate() {
        for ((view, buffer), values) in views.iter().zip(&case.buffers).zip(contents) {
            executor.upload(slot, buffer_of(view), &guarded(values, buffer.arena, buffer.access))?;
        }
    }
    executor.submit(&[Segment::Step])?;
    (0..slots.len())
        .map(|slot| {
            views
                .iter()
                .map(|view| executor.download(slot, buffer_of(view)))
                .collect()
        })
        .collect()
}

/// Control blocks must stand at the start of their arena, so they have no sentinels.
fn margins(arena: Arena) -> (usize, usize) {
    if arena == Arena::Control { (0, 0) } else { (FRONT, BACK) }
}

/// Contents between sentinels: NaN beside what is read, so that reading them shows in the result; every other one a
/// finite pattern beside what is written, so that adding to them shows, too.
pub fn guarded(values: &Values, arena: Arena, access: Access) -> Values {
    let (front, back) = margins(arena);
    let number = |k: usize| {
        if access == Access::Read || k.is_multiple_of(2) {
            f64::NAN
        } else {
            f64::from(f32::from_bits(0x3F81_2345 + 0x1_0001 * k as u32))
        }
    };
    let word = |k: usize| 0xFFFF_FF00 + k as u32;
    match values {
        Values::Numbers(numbers) => {
            let head = (0..front).map(number);
            let tail = (front..front + back).map(number);
            Values::Numbers(head.chain(numbers.iter().copied()).chain(tail).collect())
        }
        Values::Words(words) => {
            let head = (0..front).map(word);
            let tail = (front..front + back).map(word);
            Values::Words(head.chain(words.iter().copied()).chain(tail).collect())
        }
    }
}

fn inner(values: &Values, arena: Arena, len: usize) -> Values {
    let (front, _) = margins(arena);
    match values {
        Values::Numbers(numbers) => Values::Numbers(numbers[front..front + len].to_vec()),
        Values::Words(words) => Values::Words(words[front..front + len].to_vec()),
    }
}

/// Sentinels are as they were, and so is everything that is only read.
pub fn sentinels(case: &Case, after: &[Values], before: &[Values]) -> std::result::Result<(), String> {
    for ((buffer, after), before) in case.buffers.iter().zip(after).zip(before) {
        let expected = guarded(before, buffer.arena, buffer.access);
        let (front, _) = margins(buffer.arena);
        let wrong = same_bits(&expected, after).into_iter().find(|k| {
            let inside = (front..front + buffer.len).contains(k);
            !(inside && buffer.access.writes())
        });
        if let Some(k) = wrong {
            let place = k as i64 - front as i64;
            return Err(format!(
                "{}: element {place} of {} was changed",
                buffer.name, buffer.len
            ));
        }
    }
    Ok(())
}

fn same_slot(case: &Case, one: &[Values], other: &[Values]) -> std::result::Result<(), String> {
    for ((buffer, one), other) in case.buffers.iter().zip(one).zip(other) {
        if let Some(k) = same_bits(one, other).first() {
            return Err(format!("{} differs at {k}", buffer.name));
        }
    }
    Ok(())
}

/// The contents of a neighbour that has diverged: NaN in every number.
fn ruined(case: &Case, mut contents: Vec<Values>) -> Vec<Values> {
    for (values, buffer) in contents.iter_mut().zip(&case.buffers) {
        if let Values::Numbers(numbers) = values {
            numbers.fill(f64::NAN);
        } else {
            assert_eq!(
                words(values).len(),
                buffer.len,
                "{}: words of {}",
                case.title(),
                buffer.name
            );
        }
    }
    contents
}

/// Pools of one and of three threads.
fn pools() -> [&'static ThreadPool; 2] {
    static POOLS: OnceLock<[ThreadPool; 2]> = OnceLock::new();
    let make = |threads| {
        ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool of threads")
    };
    POOLS.get_or_init(|| [make(1), make(3)]).each_ref()
}

impl Backend {
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.precision.name())
    }
}

/// What a case leaves in its buffers, by name, run alone and without comparison.
pub fn outputs(case: &Case, backend: &Backend) -> Result<BTreeMap<String, Values>> {
    outputs_of(case, backend, contents(case, 1, backend))
}

/// The same with these contents.
pub fn outputs_of(case: &Case, backend: &Backend, contents: Vec<Values>) -> Result<BTreeMap<String, Values>> {
    let after = run(case, backend, &[contents])?;
    let named = case.buffers.iter().zip(&after[0]);
    Ok(named
        .map(|(b, values)| (b.name.clone(), inner(values, b.arena, b.len)))
        .collect())
}

/// Backends of this precision that have this kernel; the others are named, not silently left out.
pub fn backends(kernel: Kernel, precision: Option<Precision>) -> Vec<Backend> {
    backends_with(&[kernel], precision)
}

/// Backends of this precision that have all these kernels.
pub fn backends_with(kernels: &[Kernel], precision: Option<Precision>) -> Vec<Backend> {
    let mut found = Vec::new();
    for backend in BACKENDS.iter().filter(|b| precision.is_none_or(|p| p == b.precision)) {
        match (backend.capabilities)() {
            Ok(capabilities) => match kernels.iter().find(|kernel| !capabilities.kernels.contains(kernel)) {
                None => found.push(*backend),
                Some(kernel) => println!("Unsupported: {} has no kernel {}", backend.title(), kernel.name()),
            },
            Err(error) => println!("Unsupported: {}: {error}", backend.title()),
        }
    }
    assert!(!found.is_empty(), "no backend has {kernels:?}");
    found
}
