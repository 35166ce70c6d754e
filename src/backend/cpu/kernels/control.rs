//! control — advances a slot's control block. PHASE 0 begins a step: what is due, and the step's rates. PHASE 1 guards:
//! a loss or gradient that is not finite ends the run before its weights change. PHASE 2 ends a step: transitions, end
//! conditions (an update that overflowed among them), the next step.
//!
//! inout 0 block, see `plan::control`   in 1 settings   inout 2 scalars   inout 3 history [64, 2]: test accuracies and
//! their steps
//!
//! 1 - beta^t is formed as -expm1(t ln beta). Memorisation: first evaluation with a train accuracy of at least 0.99.
//! Grokking: first at which the median of the test accuracies of the last 50 steps is at least 0.95.

use crate::backend::cpu::{Args, Scalar};
use crate::model::TensorGroup;
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
    for segment in Segment::ALL {
        let every = block[control::every(segment)];
        block[control::due(segment)] = u32::from(every != 0 && step.is_multiple_of(every));
    }
    let t = f64::from(step) + 1.0;
    let warmup = f64::from(block[control::WARMUP]);
    let ramp = if t < warmup { t / warmup } else { 1.0 };
    let groups = TensorGroup::ALL.len();
    scalars[..control::RATES].fill(0.0);
    scalars[control::LR] = settings[control::LR] * ramp;
    scalars[control::CORRECTION1] = -(t * settings[control::LN_BETA1]).exp_m1();
    scalars[control::CORRECTION2] = -(t * settings[control::LN_BETA2]).exp_m1();
    for place in [control::BETA1, control::BETA2, control::EPS, control::CLIP] {
        scalars[place] = settings[place];
    }
    scalars[control::DECAY..][..groups].copy_from_slice(&settings[control::DECAY..][..groups]);
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
