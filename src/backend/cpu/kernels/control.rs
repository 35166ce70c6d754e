//! control — advances a slot's control block. PHASE 0 begins a step: what is due, and the step's rates. PHASE 1 guards:
//! a loss or gradient that is not finite ends the run before its weights change. PHASE 2 ends a step: transitions, end
//! conditions (an update that overflowed among them), the next step.
//!
//! inout 0 block, see `plan::control`   in 1 settings   inout 2 scalars   inout 3 history [64, 2]: test accuracies and
//! their steps
//!
//! Due: multiples of a number, log-spaced steps, or denser multiples for a while after a transition; see `plan::control`.
//! A rate that follows a schedule has the value of its last point, or lies on the line to the next. Warm-up comes on top.
//! 1 - beta^t, beta that of this step, is formed as -expm1(t ln beta). Memorisation: first evaluation with a train
//! accuracy of at least 0.99. Grokking: first at which the median of the test accuracies of the last 50 steps is at
//! least 0.95.

use crate::backend::cpu::{Args, Scalar};
use crate::plan::control::Schedule;
use crate::plan::{Segment, control};
use crate::stats::columns;

pub fn run<S: Scalar>(args: &Args<S>) {
    let (block, settings) = (args.word_mut("block"), args.wide("settings"));
    let scalars = args.wide_mut("scalars");
    match args.constant("PHASE") {
        0 => begin(block, settings, scalars),
        1 => guard(block, scalars),
        _ => end(block, scalars, args.wide_mut("history")),
    }
}

fn begin(block: &mut [u32], settings: &[f64], scalars: &mut [f64]) {
    let step = block[control::STEP];
    let (memorised, grokked) = (block[control::MEMORISED], block[control::GROKKED]);
    for segment in Segment::ALL {
        let mut schedule = Schedule::read(block, segment);
        block[control::due(segment)] = u32::from(schedule.advance(step, memorised, grokked));
        schedule.write(block, segment);
    }
    let t = f64::from(step) + 1.0;
    let warmup = f64::from(block[control::WARMUP]);
    let ramp = if t < warmup { t / warmup } else { 1.0 };
    scalars[..control::RATES].fill(0.0);
    scalars[..control::HYPER].copy_from_slice(&settings[..control::HYPER]);
    follow_schedules(f64::from(step), &settings[control::POINTS..], scalars);
    scalars[control::LR] *= ramp;
    for (correction, beta) in [
        (control::CORRECTION1, control::BETA1),
        (control::CORRECTION2, control::BETA2),
    ] {
        scalars[correction] = -(t * scalars[beta].ln()).exp_m1();
    }
}

/// Sets the rates that follow a schedule.
fn follow_schedules(step: f64, mut schedules: &[f64], rates: &mut [f64]) {
    loop {
        let (head, rest) = schedules.split_at(control::POINTS_HEAD);
        let count = head[control::POINTS_COUNT] as usize;
        if count == 0 {
            return;
        }
        let (points, rest) = rest.split_at(2 * count);
        let places = head[control::POINTS_FIRST] as usize..head[control::POINTS_END] as usize;
        rates[places].fill(value_at(step, head[control::POINTS_LINEAR] != 0.0, points));
        schedules = rest;
    }
}

/// The value at a step, from pairs of step and value.
fn value_at(step: f64, linear: bool, points: &[f64]) -> f64 {
    let last = points.chunks_exact(2).rposition(|point| point[0] <= step);
    let Some(last) = last else { return points[1] };
    let (x, y) = (points[2 * last], points[2 * last + 1]);
    match points.get(2 * last + 2..2 * last + 4) {
        Some(next) if linear => y + (next[1] - y) * ((step - x) / (next[0] - x)),
        _ => y,
    }
}

fn guard(block: &mut [u32], scalars: &mut [f64]) {
    let loss = scalars[control::BATCH_LOSS];
    if loss.is_finite() && scalars[control::MEAN_SQUARE].is_finite() {
        scalars[control::RATES + columns::BATCH_LOSS] = loss;
    } else {
        stop(block, control::ENDED_DIVERGED);
    }
}

fn stop(block: &mut [u32], reason: u32) {
    block[control::ACTIVE] = 0;
    block[control::ENDED] = reason;
    for segment in Segment::ALL {
        block[control::due(segment)] = 0;
    }
}

fn end(block: &mut [u32], scalars: &[f64], history: &mut [f64]) {
    let step = block[control::STEP];
    if block[control::due(Segment::Evaluate)] != 0 {
        let row = &scalars[control::RATES..];
        if block[control::MEMORISED] == 0 && row[columns::TRAIN_ACCURACY] >= 0.99 {
            block[control::MEMORISED] = step + 1;
        }
        let place = block[control::EVALUATIONS] as usize % control::HISTORY;
        history[2 * place] = row[columns::TEST_ACCURACY];
        history[2 * place + 1] = f64::from(step);
        block[control::EVALUATIONS] += 1;
        let kept = (block[control::EVALUATIONS] as usize).min(control::HISTORY);
        let oldest = f64::from(step) - f64::from(control::MEDIAN_STEPS);
        let recent = history[..2 * kept].chunks_exact(2).filter(|entry| entry[1] > oldest);
        if block[control::GROKKED] == 0 && median(recent.map(|entry| entry[0]).collect()) >= 0.95 {
            block[control::GROKKED] = step + 1;
        }
    }
    block[control::STEP] = step + 1;
    let after = block[control::STOP_AFTER_GROKKING];
    let grokked = block[control::GROKKED];
    if !scalars[control::RATES + columns::UPDATE_NORM].is_finite() {
        stop(block, control::ENDED_DIVERGED);
    } else if step + 1 >= block[control::MAX_STEPS] {
        stop(block, control::ENDED_STEPS);
    } else if after != u32::MAX && grokked != 0 && step + 1 >= after.saturating_add(grokked - 1) {
        stop(block, control::ENDED_GROKKED);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}
