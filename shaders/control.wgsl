// control — advances a slot's control block. PHASE 0 begins a step: what is due, and the step's rates. PHASE 1 guards:
// a loss or gradient that is not finite ends the run before its weights change. PHASE 2 ends a step: transitions, end
// conditions (an update that overflowed among them), the next step.
//
// inout 0 block, see `plan::control`   in 1 settings   inout 2 scalars   inout 3 history [64, 2]: test accuracies and
// their steps
// import layout
// import wide
// import math
//
// 1 - beta^t is formed as -expm1(t ln beta). Memorisation: first evaluation with a train accuracy of at least 0.99.
// Grokking: first at which the median of the test accuracies of the last 50 steps is at least 0.95. Shares count as
// reached within 1e-7, less than one sample of ten million, since 0.99 and 0.95 are not exact in f32.

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
    let run = group.z;
    if !due(run) {
        return;
    }
    if PHASE == 0u {
        begin(run);
    } else if PHASE == 1u {
        guard(run);
    } else {
        end(run);
    }
}

fn begin(run: u32) {
    let block0 = block_at(run);
    let settings0 = settings_at(run);
    let rates = scalars_at(run);
    let step = block[block0 + CONTROL_STEP];
    for (var segment = 0u; segment < SEGMENTS; segment += 1u) {
        let every = block[block0 + CONTROL_EVERY + segment];
        var is_due = 0u;
        if every != 0u {
            is_due = select(0u, 1u, step % every == 0u);
        }
        block[block0 + CONTROL_DUE + segment] = is_due;
    }
    for (var place = 0u; place < CONTROL_RATES; place += 1u) {
        scalars[rates + place] = wide(0.0);
    }
    let t = wide_add(wide_from_word(step), wide(1.0));
    let warmup = block[block0 + CONTROL_WARMUP];
    var lr = settings[settings0 + CONTROL_LR];
    if step + 1u < warmup {
        lr = wide_mul(lr, wide_div(t, wide_from_word(warmup)));
    }
    scalars[rates + CONTROL_LR] = lr;
    scalars[rates + CONTROL_CORRECTION1] = -wide_exp_m1(wide_mul(t, settings[settings0 + CONTROL_LN_BETA1]));
    scalars[rates + CONTROL_CORRECTION2] = -wide_exp_m1(wide_mul(t, settings[settings0 + CONTROL_LN_BETA2]));
    scalars[rates + CONTROL_BETA1] = settings[settings0 + CONTROL_BETA1];
    scalars[rates + CONTROL_BETA2] = settings[settings0 + CONTROL_BETA2];
    scalars[rates + CONTROL_EPS] = settings[settings0 + CONTROL_EPS];
    scalars[rates + CONTROL_CLIP] = settings[settings0 + CONTROL_CLIP];
    for (var group = 0u; group < CONTROL_DECAY_GROUPS; group += 1u) {
        scalars[rates + CONTROL_DECAY + group] = settings[settings0 + CONTROL_DECAY + group];
    }
}

fn guard(run: u32) {
    let rates = scalars_at(run);
    let loss = scalars[rates + CONTROL_BATCH_LOSS];
    if is_finite(loss.x) && is_finite(scalars[rates + CONTROL_MEAN_SQUARE].x) {
        scalars[rates + CONTROL_RATES + COLUMN_BATCH_LOSS] = loss;
    } else {
        stop(run, CONTROL_ENDED_DIVERGED);
    }
}

fn stop(run: u32, reason: u32) {
    let block0 = block_at(run);
    block[block0 + CONTROL_ACTIVE] = 0u;
    block[block0 + CONTROL_ENDED] = reason;
    for (var segment = 0u; segment < SEGMENTS; segment += 1u) {
        block[block0 + CONTROL_DUE + segment] = 0u;
    }
}

fn end(run: u32) {
    let block0 = block_at(run);
    let row = scalars_at(run) + CONTROL_RATES;
    let history0 = history_at(run);
    let step = block[block0 + CONTROL_STEP];
    if block[block0 + CONTROL_DUE + SEGMENT_EVALUATE] != 0u {
        if block[block0 + CONTROL_MEMORISED] == 0u && reaches(scalars[row + COLUMN_TRAIN_ACCURACY], 0.99) {
            block[block0 + CONTROL_MEMORISED] = step + 1u;
        }
        let evaluations = block[block0 + CONTROL_EVALUATIONS];
        let place = history0 + 2u * (evaluations % CONTROL_HISTORY);
        history[place] = scalars[row + COLUMN_TEST_ACCURACY];
        history[place + 1u] = wide_from_word(step);
        block[block0 + CONTROL_EVALUATIONS] = evaluations + 1u;
        if block[block0 + CONTROL_GROKKED] == 0u {
            let median = median_of_recent(history0, min(evaluations + 1u, CONTROL_HISTORY), step);
            if reaches(median, 0.95) {
                block[block0 + CONTROL_GROKKED] = step + 1u;
            }
        }
    }
    block[block0 + CONTROL_STEP] = step + 1u;
    let after = block[block0 + CONTROL_STOP_AFTER_GROKKING];
    let grokked = block[block0 + CONTROL_GROKKED];
    // Saturating: a far end is no near one.
    let last = select(0xffffffffu, after + grokked - 1u, after <= 0xffffffffu - grokked);
    if !is_finite(scalars[row + COLUMN_UPDATE_NORM].x) {
        stop(run, CONTROL_ENDED_DIVERGED);
    } else if step + 1u >= block[block0 + CONTROL_MAX_STEPS] {
        stop(run, CONTROL_ENDED_STEPS);
    } else if after != 0xffffffffu && grokked != 0u && step + 1u >= last {
        stop(run, CONTROL_ENDED_GROKKED);
    }
}

fn reaches(x: vec2<f32>, share: f32) -> bool {
    return wide_sub(x, wide(share)).x >= -1e-7;
}

fn is_recent(place: u32, step: u32) -> bool {
    return wide_sub(wide_from_word(step), history[place + 1u]).x < f32(CONTROL_MEDIAN_STEPS);
}

/// Median of the accuracies of the last steps: the one, or the mean of the two, with as many below as above.
fn median_of_recent(history0: u32, kept: u32, step: u32) -> vec2<f32> {
    var count = 0u;
    for (var k = 0u; k < kept; k += 1u) {
        count += select(0u, 1u, is_recent(history0 + 2u * k, step));
    }
    var middle = wide(0.0);
    for (var k = 0u; k < kept; k += 1u) {
        let place = history0 + 2u * k;
        if !is_recent(place, step) {
            continue;
        }
        let value = history[place];
        var rank = 0u;
        for (var j = 0u; j < kept; j += 1u) {
            let other = history0 + 2u * j;
            if is_recent(other, step) {
                let equal = all(history[other] == value);
                rank += select(0u, 1u, wide_less(history[other], value) || (equal && j < k));
            }
        }
        if rank == (count - 1u) / 2u {
            middle = wide_add(middle, 0.5 * value);
        }
        if rank == count / 2u {
            middle = wide_add(middle, 0.5 * value);
        }
    }
    return middle;
}
