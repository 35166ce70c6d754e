//! The control block, and the rows of metrics it counts.

use gmatrix::backend::Values;
use gmatrix::plan::{Kernel, Segment, control};
use gmatrix::stats::columns;

use crate::case::{Case, Data, Expected, Oracle};
use crate::fill::{Fill, Rng, filled, filled_words, normal, words_below};
use crate::numbers::Real;

const SCALARS: usize = control::RATES + columns::PROPERTIES;

/// A block that runs, with this step.
pub fn block(step: u32) -> Vec<u32> {
    let mut block = vec![0; control::WORDS];
    block[control::ACTIVE] = 1;
    block[control::STEP] = step;
    block[control::MAX_STEPS] = 1_000_000;
    block[control::STOP_AFTER_GROKKING] = u32::MAX;
    for segment in Segment::ALL {
        block[control::every(segment)] = 1;
        block[control::due(segment)] = 1;
    }
    block
}

struct Control;

impl Oracle for Control {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let mut block = x.words("block").to_vec();
        let (settings, mut scalars) = (x.real::<T>("settings"), x.real::<T>("scalars"));
        let mut history = x.real::<T>("history");
        match x.constant("PHASE") {
            0 => begin(&mut block, &settings, &mut scalars),
            1 => {
                let loss = scalars[control::BATCH_LOSS];
                if loss.value().is_finite() && scalars[control::MEAN_SQUARE].value().is_finite() {
                    scalars[control::RATES + columns::BATCH_LOSS] = loss;
                } else {
                    stop(&mut block, control::ENDED_DIVERGED);
                }
            }
            _ => end(&mut block, &scalars[control::RATES..], &mut history),
        }
        Expected::new()
            .with("scalars", scalars)
            .with("history", history)
            .and_words("block", block)
    }
}

fn begin<T: Real>(block: &mut [u32], settings: &[T], scalars: &mut [T]) {
    let step = block[control::STEP];
    for segment in Segment::ALL {
        let at = |place: usize| block[place + segment.index()];
        let multiple = |every: u32| every > 0 && step.is_multiple_of(every);
        let after = |word: usize| {
            let window = u64::from(block[word])..u64::from(block[word]) + u64::from(at(control::WIDTH));
            block[word] > 0 && window.contains(&step.into())
        };
        let regular = multiple(at(control::EVERY));
        let due = match at(control::MODE) {
            0 => regular,
            1 => step == at(control::NEXT),
            2 => regular || (after(control::MEMORISED) && multiple(at(control::DENSE))),
            _ => regular || (after(control::GROKKED) && multiple(at(control::DENSE))),
        };
        if due && at(control::MODE) == 1 {
            let gap = u64::from(step) * u64::from(at(control::EVERY)) / 4096;
            let next = if step < 1 << 27 {
                u64::from(step) + gap.max(1)
            } else {
                u64::from(u32::MAX)
            };
            block[control::NEXT + segment.index()] = next as u32;
        }
        block[control::due(segment)] = u32::from(due);
    }
    // Update t = step + 1 of a linear warm-up has t/warmup of the rate.
    let (t, warmup) = (T::new(f64::from(step) + 1.0), T::new(f64::from(block[control::WARMUP])));
    let ramp = if t < warmup { t / warmup } else { T::new(1.0) };
    scalars[..control::RATES].fill(T::new(0.0));
    scalars[..24].copy_from_slice(&settings[..24]);
    let mut at = control::POINTS;
    while settings[at + 3].value() != 0.0 {
        let [first, end, linear, count] = [0, 1, 2, 3].map(|k| settings[at + k].value() as usize);
        let points: Vec<(T, T)> = (0..count)
            .map(|k| (settings[at + 4 + 2 * k], settings[at + 5 + 2 * k]))
            .collect();
        let now = T::new(f64::from(step));
        let value = match points.iter().rposition(|(at, _)| *at <= now) {
            None => points[0].1,
            Some(k) if linear == 1 && k + 1 < count => {
                let ((x0, y0), (x1, y1)) = (points[k], points[k + 1]);
                y0 + (y1 - y0) * ((now - x0) / (x1 - x0))
            }
            Some(k) => points[k].1,
        };
        scalars[first..end].fill(value);
        at += 4 + 2 * count;
    }
    scalars[control::LR] = scalars[control::LR] * ramp;
    // beta^t by repeated squaring.
    let power = |beta: T| {
        let (mut result, mut square, mut rest) = (T::new(1.0), beta, step + 1);
        while rest > 0 {
            if rest % 2 == 1 {
                result = result * square;
            }
            (square, rest) = (square * square, rest / 2);
        }
        result
    };
    scalars[control::CORRECTION1] = T::new(1.0) - power(scalars[control::BETA1]);
    scalars[control::CORRECTION2] = T::new(1.0) - power(scalars[control::BETA2]);
}

fn stop(block: &mut [u32], reason: u32) {
    block[control::ACTIVE] = 0;
    block[control::ENDED] = reason;
    Segment::ALL
        .into_iter()
        .for_each(|segment| block[control::due(segment)] = 0);
}

fn end<T: Real>(block: &mut [u32], row: &[T], history: &mut [T]) {
    let step = block[control::STEP];
    if block[control::due(Segment::Evaluate)] != 0 {
        if block[control::MEMORISED] == 0 && row[columns::TRAIN_ACCURACY].value() >= 0.99 {
            block[control::MEMORISED] = step + 1;
        }
        let count = block[control::EVALUATIONS] as usize;
        history[2 * (count % 64)] = row[columns::TEST_ACCURACY];
        history[2 * (count % 64) + 1] = T::new(f64::from(step));
        block[control::EVALUATIONS] += 1;
        let kept = (0..64.min(count + 1)).map(|k| (history[2 * k].value(), history[2 * k + 1].value()));
        let mut recent: Vec<f64> = kept
            .filter(|(_, at)| *at > f64::from(step) - 50.0)
            .map(|(x, _)| x)
            .collect();
        recent.sort_by(f64::total_cmp);
        let (low, high) = (recent[(recent.len() - 1) / 2], recent[recent.len() / 2]);
        if block[control::GROKKED] == 0 && 0.5 * (low + high) >= 0.95 {
            block[control::GROKKED] = step + 1;
        }
    }
    block[control::STEP] = step + 1;
    let after = u64::from(block[control::STOP_AFTER_GROKKING]);
    let grokked = u64::from(block[control::GROKKED]);
    let done = u64::from(step) + 1;
    if !row[columns::UPDATE_NORM].value().is_finite() {
        stop(block, control::ENDED_DIVERGED);
    } else if done >= u64::from(block[control::MAX_STEPS]) {
        stop(block, control::ENDED_STEPS);
    } else if after != u64::from(u32::MAX) && grokked != 0 && done >= grokked - 1 + after {
        stop(block, control::ENDED_GROKKED);
    }
}

/// One call of a phase.
fn case(name: &str, phase: u32, block: Vec<u32>, loss: f64, mean_square: f64, accuracies: [f64; 2]) -> Case {
    case_of_update(name, phase, block, [loss, mean_square, 0.5], accuracies)
}

/// The same with the norm of the update.
fn case_of_update(
    name: &str,
    phase: u32,
    block: Vec<u32>,
    [loss, mean_square, update]: [f64; 3],
    accuracies: [f64; 2],
) -> Case {
    let settings = filled(control::SETTINGS, |rng| {
        let mut settings: Vec<f64> = rng.normals(control::SETTINGS).into_iter().map(f64::abs).collect();
        (settings[control::BETA1], settings[control::BETA2]) = (0.5, 0.98);
        settings[control::POINTS..].fill(0.0);
        // The learning rate on lines, the decays in steps, clip at one point.
        let lr = [0.0, 1.0, 1.0, 4.0, 2.0, 0.5, 9.0, 2.5, 11.0, 0.25, 20_000.0, 0.75];
        let decays = [6.0, 13.0, 0.0, 3.0, 1.0, 0.0, 10.0, 3.0, 71.0, 0.125];
        let clip = [13.0, 14.0, 1.0, 1.0, 5.0, 0.3];
        // The betas of Adam, too, one of them 0 for some steps.
        let beta1 = [3.0, 4.0, 1.0, 3.0, 0.0, 0.5, 60.0, 0.9, 10_000.0, 0.999_999];
        let beta2 = [4.0, 5.0, 0.0, 3.0, 0.0, 0.98, 9.0, 0.0, 11.0, 0.999];
        let all = [&lr[..], &decays, &clip, &beta1, &beta2].concat();
        settings[control::POINTS..][..all.len()].copy_from_slice(&all);
        settings
    });
    let scalars = filled(SCALARS, move |rng| {
        let mut scalars = rng.normals(SCALARS);
        (scalars[control::BATCH_LOSS], scalars[control::MEAN_SQUARE]) = (loss, mean_square);
        scalars[control::RATES + columns::TRAIN_ACCURACY] = accuracies[0];
        scalars[control::RATES + columns::TEST_ACCURACY] = accuracies[1];
        scalars[control::RATES + columns::UPDATE_NORM] = update;
        scalars
    });
    let step = block[control::STEP];
    // Evaluations of every tenth step so far, ever better.
    let history = filled(2 * control::HISTORY, move |_| {
        let mut history = vec![0.0; 2 * control::HISTORY];
        for k in 0..(step / 10).min(64) as usize {
            history[2 * k] = 0.94 + 0.005 * k as f64;
            history[2 * k + 1] = 10.0 * k as f64;
        }
        history
    });
    let buffers = vec![
        filled_words(control::WORDS, move |_| block.clone()),
        settings,
        scalars,
        history,
    ];
    let case = Case::new(Kernel::Control, name, &[("PHASE", phase)], &[], buffers, Control);
    case.looser(64.0, "1 - beta^t of the naive loop is what the kernel avoids")
}

pub fn control() -> Vec<Case> {
    let with = |step: u32, changes: &[(usize, u32)]| {
        let mut block = block(step);
        changes.iter().for_each(|(place, value)| block[*place] = *value);
        block[control::EVALUATIONS] = step / 10;
        block
    };
    let every = control::every;
    let schedule = [
        (every(Segment::Evaluate), 10),
        (every(Segment::Gram), 7),
        (every(Segment::Decompose), 0),
        (control::WARMUP, 10),
    ];
    let mut cases = Vec::new();
    for step in [0, 1, 8, 9, 10, 70, 12_345] {
        cases.push(case(
            &format!("step={step}"),
            0,
            with(step, &schedule),
            1.0,
            1.0,
            [0.0; 2],
        ));
    }
    let scheduled = |segment: Segment, mode: u32, [every, dense, width, next]: [u32; 4]| {
        let places = [
            control::MODE,
            control::EVERY,
            control::DENSE,
            control::WIDTH,
            control::NEXT,
        ];
        places
            .into_iter()
            .zip([mode, every, dense, width, next])
            .map(move |(place, word)| (place + segment.index(), word))
    };
    for (step, memorised, grokked) in [
        (0, 0, 0),
        (35, 31, 0),
        (36, 31, 0),
        (50, 31, 41),
        (51, 31, 46),
        (65_537, 65_501, 65_537),
        (1_234_567, 1, 2),
        (1 << 27, 1, 2),
    ] {
        let schedules = [
            scheduled(Segment::Gram, control::LOG, [500, 0, 0, step]),
            scheduled(Segment::Evaluate, control::LOG, [36_864, 0, 0, step + 1]),
            scheduled(Segment::Decompose, control::AROUND_MEMORISED, [50, 5, 20, 0]),
            scheduled(Segment::Measure, control::AROUND_GROKKED, [0, 3, 6, 0]),
        ];
        let transitions = [(control::MEMORISED, memorised), (control::GROKKED, grokked)];
        let changes: Vec<(usize, u32)> = schedules.into_iter().flatten().chain(transitions).collect();
        let name = format!("schedules at {step}, {memorised} {grokked}");
        cases.push(case(&name, 0, with(step, &changes), 1.0, 1.0, [0.0; 2]));
    }
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    for (loss, square) in [
        (1.5, 2.0),
        (nan, 2.0),
        (inf, 2.0),
        (-inf, 2.0),
        (1.5, nan),
        (1.5, inf),
        (0.0, 0.0),
    ] {
        cases.push(case(
            &format!("loss={loss} mean_square={square}"),
            1,
            with(4, &[]),
            loss,
            square,
            [0.0; 2],
        ));
    }
    let grokked = [(control::GROKKED, 61), (control::STOP_AFTER_GROKKING, 20)];
    for (name, step, changes, accuracies) in [
        ("nothing happens", 60, vec![], [0.5, 0.1]),
        ("memorises", 30, vec![], [0.99, 0.1]),
        ("memorised before", 30, vec![(control::MEMORISED, 11)], [1.0, 0.1]),
        ("groks", 60, vec![], [1.0, 1.0]),
        ("grokked before", 60, vec![(control::GROKKED, 51)], [1.0, 1.0]),
        ("first evaluation", 0, vec![], [1.0, 0.95]),
        ("not due", 61, vec![(control::due(Segment::Evaluate), 0)], [1.0, 1.0]),
        ("last step", 60, vec![(control::MAX_STEPS, 61)], [0.1, 0.1]),
        ("last step but one", 60, vec![(control::MAX_STEPS, 62)], [0.1, 0.1]),
        ("stops after grokking", 79, grokked.to_vec(), [1.0, 1.0]),
        ("does not stop yet", 78, grokked.to_vec(), [1.0, 1.0]),
        ("stops at once", 60, vec![(control::STOP_AFTER_GROKKING, 0)], [1.0, 1.0]),
        (
            "never stops",
            60,
            vec![(control::STOP_AFTER_GROKKING, u32::MAX)],
            [1.0, 1.0],
        ),
        (
            "far from stopping",
            60,
            vec![(control::STOP_AFTER_GROKKING, u32::MAX - 1)],
            [1.0, 1.0],
        ),
        ("no test split", 60, vec![], [1.0, nan]),
    ] {
        cases.push(case(name, 2, with(step, &changes), 1.0, 1.0, accuracies));
    }
    for (name, step, changes) in [
        ("an update that overflowed", 60, vec![]),
        (
            "an update that overflowed at the last step",
            60,
            vec![(control::MAX_STEPS, 61)],
        ),
    ] {
        let numbers = [1.0, 1.0, nan];
        cases.push(case_of_update(name, 2, with(step, &changes), numbers, [0.5, 0.1]));
    }
    cases
}

struct Row;

impl Oracle for Row {
    fn run<T: Real>(&self, x: &Data) -> Expected<T> {
        let [width, capacity] = x.params();
        let mut block = x.words("block").to_vec();
        let (mut ring, mut header) = (x.real::<T>("ring"), x.words("header").to_vec());
        let due = |segment: u32| block[control::DUE + segment as usize] != 0;
        let measured = [Segment::Scalars, Segment::Evaluate, Segment::Gram, Segment::Decompose];
        if measured.into_iter().any(|segment| due(segment as u32)) {
            let place = block[control::ROWS] as usize % capacity;
            let scalars = x.real::<T>("scalars");
            ring[place * width..][..width].copy_from_slice(&scalars[control::RATES..][..width]);
            let words = 2 + width.div_ceil(32);
            let header = &mut header[place * words..][..words];
            (header[0], header[1]) = (block[control::RUN], block[control::STEP]);
            for (k, bits) in x.words("columns").chunks(32).enumerate() {
                let bit = |(place, segment): (usize, &u32)| u32::from(due(*segment)) << place;
                header[2 + k] = bits.iter().enumerate().map(bit).sum();
            }
            block[control::ROWS] += 1;
        }
        Expected::new()
            .with("ring", ring)
            .and_words("header", header)
            .and_words("block", block)
    }
}

pub fn row() -> Vec<Case> {
    let case = |width: usize, capacity: usize, rows: u32, due: &'static [Segment]| {
        let words = capacity * (2 + width.div_ceil(32));
        let block = move |rng: &mut Rng| {
            let mut block = block(rng.below(1000));
            Segment::ALL
                .into_iter()
                .for_each(|s| block[control::due(s)] = u32::from(s == Segment::Step));
            due.iter().for_each(|segment| block[control::due(*segment)] = 1);
            (block[control::ROWS], block[control::RUN]) = (rows, rng.below(99));
            block
        };
        let buffers = vec![
            normal(control::RATES + width),
            words_below(width, Segment::ALL.len()),
            filled_words(control::WORDS, block),
            normal(capacity * width),
            words_below(words, 1 << 30),
        ];
        let name = format!("columns={width} capacity={capacity} rows={rows} due {due:?}");
        Case::new(Kernel::Row, name, &[], &[width, capacity], buffers, Row)
    };
    vec![
        case(1, 1, 0, &[Segment::Scalars]),
        case(31, 3, 2, &[Segment::Evaluate]),
        case(33, 5, 5, &[Segment::Gram, Segment::Scalars]),
        case(97, 4, 1_000_003, &[Segment::Decompose, Segment::Measure]),
        // Nothing measured, nothing written.
        case(33, 5, 2, &[Segment::Update, Segment::End]),
    ]
}

/// One call of a phase on this block and these contents; for tests of whole courses.
pub fn step(phase: u32, contents: [Values; 4]) -> Case {
    let [block, settings, scalars, history] = contents;
    let fixed = |values: Values| -> (usize, Fill) {
        let len = match &values {
            Values::Numbers(x) => x.len(),
            Values::Words(x) => x.len(),
        };
        (len, Box::new(move |_| values.clone()))
    };
    let buffers = vec![fixed(block), fixed(settings), fixed(scalars), fixed(history)];
    Case::new(Kernel::Control, "course", &[("PHASE", phase)], &[], buffers, Control)
}
