// control — advances a slot's control block. PHASE 0 begins a step: what is due, and the step's rates. PHASE 1 guards:
// a loss or gradient that is not finite ends the run before its weights change. PHASE 2 ends a step: transitions, end
// conditions (an update that overflowed among them), the next step.
//
// inout 0 block, see `plan::control`   in 1 settings   inout 2 scalars   inout 3 history [64, 2]: test accuracies and
// their steps   order: one thread
//
// Due: multiples of a number, log-spaced steps, or denser multiples for a while after a transition; see `plan::control`.
// A rate that follows a schedule has the value of its last point, or lies on the line to the next. Warm-up comes on top.
// 1 - beta^t, beta that of this step, is formed as -expm1(t ln beta). Memorisation: first evaluation with a train
// accuracy of at least 0.99. Grokking: first at which the median of the test accuracies of the last 50 steps is at
// least 0.95.

constexpr u32 NEVER = 0xffffffffu;

__device__ bool is_multiple(u32 step, u32 every) { return every != 0 && step % every == 0; }

/// Whether a segment is due; a log-spaced schedule moves on.
__device__ bool advance(u32* block, u32 segment, u32 step) {
    const u32 mode = block[CONTROL_MODE + segment];
    const u32 every = block[CONTROL_EVERY + segment];
    if (mode == CONTROL_LOG) {
        if (step != block[CONTROL_NEXT + segment]) {
            return false;
        }
        // In fixed point with 12 bits behind the point.
        const u32 gap = u32(u64(step) * every >> 12);
        block[CONTROL_NEXT + segment] = step >= CONTROL_LOG_END ? NEVER : step + (gap > 1 ? gap : 1);
        return true;
    }
    if (mode == CONTROL_MULTIPLES) {
        return is_multiple(step, every);
    }
    // Words of transitions are their step plus 1: the first step at which they are known.
    const u32 known = block[mode == CONTROL_AROUND_MEMORISED ? CONTROL_MEMORISED : CONTROL_GROKKED];
    const bool within = known != 0 && step >= known && step - known < block[CONTROL_WIDTH + segment];
    return is_multiple(step, every) || (within && is_multiple(step, block[CONTROL_DENSE + segment]));
}

/// The value at a step, from pairs of step and value.
__device__ wide value_at(wide step, bool is_linear, const wide* points, u64 count) {
    u64 last = 0;
    while (last + 1 < count && points[2 * (last + 1)] <= step) {
        last += 1;
    }
    const wide* from = points + 2 * last;
    if (!is_linear || last + 1 == count || step < from[0]) {
        return from[1];
    }
    return from[1] + (from[3] - from[1]) * ((step - from[0]) / (from[2] - from[0]));
}

/// Sets the rates that follow a schedule.
__device__ void follow_schedules(wide step, const wide* schedule, wide* rates) {
    while (true) {
        const u64 count = u64(schedule[CONTROL_POINTS_COUNT]);
        if (count == 0) {
            return;
        }
        const bool is_linear = schedule[CONTROL_POINTS_LINEAR] != 0.0;
        const wide value = value_at(step, is_linear, schedule + CONTROL_POINTS_HEAD, count);
        for (u64 place = u64(schedule[CONTROL_POINTS_FIRST]); place < u64(schedule[CONTROL_POINTS_END]); place++) {
            rates[place] = value;
        }
        schedule += CONTROL_POINTS_HEAD + 2 * count;
    }
}

__device__ void begin(const Args& args) {
    const u32 step = args.block[CONTROL_STEP];
    for (u32 segment = 0; segment < SEGMENTS; segment++) {
        args.block[CONTROL_DUE + segment] = advance(args.block, segment, step) ? 1 : 0;
    }
    for (u32 place = 0; place < CONTROL_RATES; place++) {
        args.scalars[place] = place < CONTROL_HYPER ? args.settings[place] : 0.0;
    }
    follow_schedules(wide(step), args.settings + CONTROL_POINTS, args.scalars);
    const wide t = wide(step) + 1.0;
    const wide warmup = wide(args.block[CONTROL_WARMUP]);
    if (t < warmup) {
        args.scalars[CONTROL_LR] *= t / warmup;
    }
    args.scalars[CONTROL_CORRECTION1] = -expm1(t * log(args.scalars[CONTROL_BETA1]));
    args.scalars[CONTROL_CORRECTION2] = -expm1(t * log(args.scalars[CONTROL_BETA2]));
}

__device__ void stop(u32* block, u32 reason) {
    block[CONTROL_ACTIVE] = 0;
    block[CONTROL_ENDED] = reason;
    for (u32 segment = 0; segment < SEGMENTS; segment++) {
        block[CONTROL_DUE + segment] = 0;
    }
}

__device__ void guard(const Args& args) {
    const wide loss = args.scalars[CONTROL_BATCH_LOSS];
    if (is_finite(loss) && is_finite(args.scalars[CONTROL_MEAN_SQUARE])) {
        args.scalars[CONTROL_RATES + COLUMN_BATCH_LOSS] = loss;
    } else {
        stop(args.block, CONTROL_ENDED_DIVERGED);
    }
}

/// Median of the accuracies after this step: the one, or the mean of the two, with as many below as above; NaN counts as
/// the largest.
__device__ wide median_after(wide oldest, const wide* history, u32 kept) {
    u32 count = 0;
    for (u32 k = 0; k < kept; k++) {
        count += history[2 * k + 1] > oldest ? 1 : 0;
    }
    wide middle = count > 0 ? 0.0 : not_a_number();
    for (u32 k = 0; k < kept; k++) {
        const wide value = history[2 * k];
        if (!(history[2 * k + 1] > oldest)) {
            continue;
        }
        u32 rank = 0;
        for (u32 j = 0; j < kept; j++) {
            const wide other = history[2 * j];
            const bool is_nan = value != value;
            const bool is_less = is_nan ? other == other : other < value;
            const bool is_equal = is_nan ? other != other : other == value;
            rank += history[2 * j + 1] > oldest && (is_less || (is_equal && j < k)) ? 1 : 0;
        }
        if (rank == (count - 1) / 2) {
            middle += 0.5 * value;
        }
        if (rank == count / 2) {
            middle += 0.5 * value;
        }
    }
    return middle;
}

__device__ void end(const Args& args) {
    u32* block = args.block;
    const wide* row = args.scalars + CONTROL_RATES;
    const u32 step = block[CONTROL_STEP];
    if (block[CONTROL_DUE + SEGMENT_EVALUATE] != 0) {
        if (block[CONTROL_MEMORISED] == 0 && row[COLUMN_TRAIN_ACCURACY] >= 0.99) {
            block[CONTROL_MEMORISED] = step + 1;
        }
        const u32 evaluations = block[CONTROL_EVALUATIONS];
        const u32 place = evaluations % CONTROL_HISTORY;
        args.history[2 * place] = row[COLUMN_TEST_ACCURACY];
        args.history[2 * place + 1] = wide(step);
        block[CONTROL_EVALUATIONS] = evaluations + 1;
        const u32 kept = evaluations + 1 < CONTROL_HISTORY ? evaluations + 1 : CONTROL_HISTORY;
        const wide oldest = wide(step) - wide(CONTROL_MEDIAN_STEPS);
        if (block[CONTROL_GROKKED] == 0 && median_after(oldest, args.history, kept) >= 0.95) {
            block[CONTROL_GROKKED] = step + 1;
        }
    }
    block[CONTROL_STEP] = step + 1;
    const u32 after = block[CONTROL_STOP_AFTER_GROKKING];
    const u32 grokked = block[CONTROL_GROKKED];
    if (!is_finite(row[COLUMN_UPDATE_NORM])) {
        stop(block, CONTROL_ENDED_DIVERGED);
    } else if (step + 1 >= block[CONTROL_MAX_STEPS]) {
        stop(block, CONTROL_ENDED_STEPS);
    } else if (after != NEVER && grokked != 0 && u64(step) + 1 >= u64(after) + grokked - 1) {
        stop(block, CONTROL_ENDED_GROKKED);
    }
}

__device__ void run(const Args& args, u64 group) {
    if (threadIdx.x != 0) {
        return;
    }
    if (PHASE == 0) {
        begin(args);
    } else if (PHASE == 1) {
        guard(args);
    } else {
        end(args);
    }
}
