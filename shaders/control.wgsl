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
// Due: multiples of a number, log-spaced steps, or denser multiples for a while after a transition; see `plan::control`.
// A rate that follows a schedule has the value of its last point, or lies on the line to the next. Warm-up comes on top.
// 1 - beta^t, beta that of this step, is formed as -expm1(t ln beta). Memorisation: first evaluation with a train
// accuracy of at least 0.99. Grokking: first at which the median of the test accuracies of the last 50 steps is at
// least 0.95. Shares count as reached within 1e-7, less than one sample of ten million, since 0.99 and 0.95 are not
// exact in f32.

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
        block[block0 + CONTROL_DUE + segment] = select(0u, 1u, advance(block0, segment, step));
    }
    for (var place = 0u; place < CONTROL_RATES; place += 1u) {
        scalars[rates + place] = wide(0.0);
    }
    for (var place = 0u; place < CONTROL_HYPER; place += 1u) {
        scalars[rates + place] = settings[settings0 + place];
    }
    follow_schedules(wide_from_word(step), settings0 + CONTROL_POINTS, rates);
    let t = wide_add(wide_from_word(step), wide(1.0));
    let warmup = block[block0 + CONTROL_WARMUP];
    if step + 1u < warmup {
        scalars[rates + CONTROL_LR] = wide_mul(scalars[rates + CONTROL_LR], wide_div(t, wide_from_word(warmup)));
    }
    scalars[rates + CONTROL_CORRECTION1] = correction(t, scalars[rates + CONTROL_BETA1]);
    scalars[rates + CONTROL_CORRECTION2] = correction(t, scalars[rates + CONTROL_BETA2]);
}

/// 1 - beta^t
fn correction(t: vec2<f32>, beta: vec2<f32>) -> vec2<f32> {
    if beta.x == 0.0 {
        return wide(1.0);
    }
    return -wide_exp_m1(wide_mul(t, wide_log(beta)));
}

fn is_multiple(step: u32, every: u32) -> bool {
    return every != 0u && step % max(every, 1u) == 0u;
}

/// Whether a segment is due; a log-spaced schedule moves on.
fn advance(block0: u32, segment: u32, step: u32) -> bool {
    let mode = block[block0 + CONTROL_MODE + segment];
    let every = block[block0 + CONTROL_EVERY + segment];
    if mode == CONTROL_MULTIPLES {
        return is_multiple(step, every);
    }
    if mode == CONTROL_LOG {
        if step != block[block0 + CONTROL_NEXT + segment] {
            return false;
        }
        var next = 0xffffffffu;
        if step < CONTROL_LOG_END {
            // floor(step every / 2^12) in halves of the step, whose products fit in 32 bits.
            let gap = (step >> 16u) * every * 16u + ((step & 0xffffu) * every >> 12u);
            next = step + max(gap, 1u);
        }
        block[block0 + CONTROL_NEXT + segment] = next;
        return true;
    }
    // Words of transitions are their step plus 1: the first step at which they are known.
    var known = block[block0 + CONTROL_GROKKED];
    if mode == CONTROL_AROUND_MEMORISED {
        known = block[block0 + CONTROL_MEMORISED];
    }
    let within = known != 0u && step >= known && step - known < block[block0 + CONTROL_WIDTH + segment];
    return is_multiple(step, every) || (within && is_multiple(step, block[block0 + CONTROL_DENSE + segment]));
}

/// Sets the rates that follow a schedule.
fn follow_schedules(step: vec2<f32>, first: u32, rates: u32) {
    var entry = first;
    loop {
        let count = u32(settings[entry + CONTROL_POINTS_COUNT].x);
        if count == 0u {
            return;
        }
        let is_linear = settings[entry + CONTROL_POINTS_LINEAR].x != 0.0;
        let value = value_at(step, is_linear, entry + CONTROL_POINTS_HEAD, count);
        let end = u32(settings[entry + CONTROL_POINTS_END].x);
        for (var place = u32(settings[entry + CONTROL_POINTS_FIRST].x); place < end; place += 1u) {
            scalars[rates + place] = value;
        }
        entry += CONTROL_POINTS_HEAD + 2u * count;
    }
}

/// The value at a step, from pairs of step and value.
fn value_at(step: vec2<f32>, is_linear: bool, points: u32, count: u32) -> vec2<f32> {
    var last = 0u;
    while last + 1u < count && !wide_less(step, settings[points + 2u * (last + 1u)]) {
        last += 1u;
    }
    let x = settings[points + 2u * last];
    let y = settings[points + 2u * last + 1u];
    if !is_linear || last + 1u == count || wide_less(step, x) {
        return y;
    }
    let share = wide_div(wide_sub(step, x), wide_sub(settings[points + 2u * last + 2u], x));
    return wide_add(y, wide_mul(wide_sub(settings[points + 2u * last + 3u], y), share));
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
        history[place] = storable(scalars[row + COLUMN_TEST_ACCURACY]);
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
