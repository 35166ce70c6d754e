// stream — averages over a window of steps of what minibatches say about the population, with standard errors.
//
// in 0 sketch [N, 2, 64]   in 1 norm [N]   in 2 exponent [N]   in 3 square [1], |mean g|^2   inout 4 state [16, 8]
// out 5 columns [11], see `stats::stream`: those of the window that ended, null at other steps
// params n, window   control: step
// order: in wide numbers; samples in 64 running sums, added in a tree; products of sketches with samples ascending, a
// column in one thread; one workgroup a run
// import layout
// import wide
// import math
// import reduce
// import scales
// import eigenvalues
//
// Of each step, normalised by its mean squared norm S/n, are taken, over pairs i != j of its samples: the mean of
// K_ii K_jj, the mean of K_ij^2 (from two independent sketches, <s_i, s_j><s'_i, s'_j>), and the mean of K_ij, which is
// coherence_unbiased, with 1 less it, the noise. A window's ratios are of averages over its steps; their errors are by
// the jackknife over sixteen batches of neighbouring steps.
// What of a step is summed: 1, mean of K_ii K_jj, mean of K_ij^2, mean of K_ij, noise, the same mean of K_ij in the
// gradients' own units, effective rank of the sketch; the last place is free.

/// Numbers of one sketch of one sample, and threads.
const LANES = SKETCH_SIDE * SKETCH_SIDE;

const COLUMNS = 11u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let n = launch.n;
    let step = control[run * launch.control_stride + CONTROL_STEP];
    if lane == 0u {
        for (var k = 0u; k < COLUMNS; k += 1u) {
            columns[columns_at(run) + k] = wide(not_a_number());
        }
        if step % launch.window == 0u {
            if step > 0u {
                report(run);
            }
            for (var k = 0u; k < STREAM_BATCHES * STREAM_WIDTH; k += 1u) {
                state[state_at(run) + k] = wide(0.0);
            }
        }
    }
    let smallest = smallest_exponent(run, lane);
    var trace = wide(0.0);
    var squares = wide(0.0);
    var sum = wide(0.0);
    var same = wide(0.0);
    for (var k = lane; k < n; k += LANES) {
        let factor = scale_of(run, k, smallest);
        let own = norm[norm_at(run) + k] * factor * factor;
        trace = wide_add(trace, own);
        squares = wide_add(squares, wide_mul(own, own));
        let root = wide_sqrt(norm[norm_at(run) + k]);
        let power = -bitcast<i32>(exponent[exponent_at(run) + k]);
        let length = vec2(scale(root.x, power), scale(root.y, power));
        sum = wide_add(sum, wide_mul(length, length));
        var lengths: array<vec2<f32>, 2>;
        for (var copy = 0u; copy < 2u; copy += 1u) {
            for (var c = 0u; c < LANES; c += 1u) {
                let x = entry(run, k, copy, c, factor);
                lengths[copy] = wide_add(lengths[copy], two_product(x, x));
            }
        }
        same = wide_add(same, wide_mul(lengths[0], lengths[1]));
    }
    trace = sum_lanes(lane, trace);
    squares = sum_lanes(lane, squares);
    sum = sum_lanes(lane, sum);
    same = sum_lanes(lane, same);
    // Sum over i, j of <s_i, s_j><s'_i, s'_j> = |S' S|_F^2 without a matrix over pairs.
    var all = wide(0.0);
    let crossed = products(run, 1u, lane, smallest);
    for (var k = 0u; k < LANES; k += 1u) {
        all = wide_add(all, wide_mul(crossed[k], crossed[k]));
    }
    all = sum_lanes(lane, all);
    // Eigenvalues other than 0 are those of the smaller of two matrices.
    let side = min(n, LANES);
    if n < LANES {
        matrix = sample_products(run, lane, smallest);
    } else {
        matrix = products(run, 0u, lane, smallest);
    }
    let rank = root_rank(side, lane);
    if lane != 0u || !(trace.x > 0.0) {
        return;
    }
    let count = wide_from_word(n);
    let less = wide_sub(count, wide(1.0));
    let pairs = wide_mul(count, less);
    let unit = wide_div(count, trace);
    let per_pair = wide_div(wide_mul(unit, unit), pairs);
    let total = wide_mul(square[square_at(run)], wide_mul(count, count));
    let ratio = wide_div(total, sum);
    let batch = step % launch.window * STREAM_BATCHES / launch.window;
    let to = state_at(run) + batch * STREAM_WIDTH;
    add(to, wide(1.0));
    add(to + 1u, wide_mul(wide_sub(wide_mul(trace, trace), squares), per_pair));
    add(to + 2u, wide_mul(wide_sub(all, same), per_pair));
    add(to + 3u, wide_div(wide_sub(ratio, wide(1.0)), less));
    add(to + 4u, wide_div(wide_sub(count, ratio), less));
    add(to + 5u, wide_div(wide_sub(total, sum), pairs));
    add(to + 6u, rank);
}

fn add(place: u32, term: vec2<f32>) {
    state[place] = storable(wide_add(state[place], term));
}

fn has_gradient(run: u32, sample: u32) -> bool {
    return norm[norm_at(run) + sample].x > 0.0;
}

/// A number of a sample's sketch on the common scale.
fn entry(run: u32, sample: u32, copy: u32, place: u32, factor: f32) -> f32 {
    return select(sketch[sketch_at(run) + (2u * sample + copy) * LANES + place] * factor, 0.0, factor == 0.0);
}

/// Column `lane` of x' y [64, 64], x the first sketches of all samples, y their first or second.
fn products(run: u32, copy: u32, lane: u32, smallest: i32) -> array<vec2<f32>, LANES> {
    var sums: array<vec2<f32>, LANES>;
    for (var k = 0u; k < launch.n; k += 1u) {
        let factor = scale_of(run, k, smallest);
        let own = entry(run, k, copy, lane, factor);
        for (var row = 0u; row < LANES; row += 1u) {
            sums[row] = wide_add(sums[row], two_product(entry(run, k, 0u, row, factor), own));
        }
    }
    return sums;
}

/// Column `lane` of x x' [n, n], x the first sketches of all samples, of which there are fewer than 64.
fn sample_products(run: u32, lane: u32, smallest: i32) -> array<vec2<f32>, LANES> {
    var sums: array<vec2<f32>, LANES>;
    if lane >= launch.n {
        return sums;
    }
    let factor = scale_of(run, lane, smallest);
    for (var k = 0u; k < launch.n; k += 1u) {
        let other = scale_of(run, k, smallest);
        for (var c = 0u; c < LANES; c += 1u) {
            let product = two_product(entry(run, k, 0u, c, other), entry(run, lane, 0u, c, factor));
            sums[k] = wide_add(sums[k], product);
        }
    }
    return sums;
}

/// Participation ratio, coherence, noise scale and mean product of sums over steps.
fn ratios(sums: array<vec2<f32>, STREAM_WIDTH>) -> array<vec2<f32>, 4> {
    return array<vec2<f32>, 4>(
        over(sums[1], sums[2]), over(sums[3], sums[0]), over(sums[4], sums[3]), over(sums[5], sums[0]),
    );
}

/// A quotient by what is not above zero says nothing.
fn over(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
    if y.x > 0.0 {
        return wide_div(x, y);
    }
    return wide(not_a_number());
}

/// The ratios of all batches but one.
fn ratios_without(run: u32, batch: u32, all: array<vec2<f32>, STREAM_WIDTH>) -> array<vec2<f32>, 4> {
    var sums = all;
    for (var k = 0u; k < STREAM_WIDTH; k += 1u) {
        sums[k] = wide_sub(sums[k], state[state_at(run) + batch * STREAM_WIDTH + k]);
    }
    return ratios(sums);
}

/// Writes the columns of the window whose sums stand in the state.
fn report(run: u32) {
    var all: array<vec2<f32>, STREAM_WIDTH>;
    var batches = 0u;
    for (var batch = 0u; batch < STREAM_BATCHES; batch += 1u) {
        if is_filled(run, batch) {
            batches += 1u;
            for (var k = 0u; k < STREAM_WIDTH; k += 1u) {
                all[k] = wide_add(all[k], state[state_at(run) + batch * STREAM_WIDTH + k]);
            }
        }
    }
    let count = wide_from_word(batches);
    var means: array<vec2<f32>, 4>;
    var squares: array<vec2<f32>, 4>;
    for (var turn = 0u; turn < 2u; turn += 1u) {
        for (var batch = 0u; batch < STREAM_BATCHES; batch += 1u) {
            if !is_filled(run, batch) {
                continue;
            }
            let without = ratios_without(run, batch, all);
            for (var k = 0u; k < 4u; k += 1u) {
                if turn == 0u {
                    means[k] = wide_add(means[k], wide_div(without[k], count));
                } else {
                    let apart = wide_sub(without[k], means[k]);
                    squares[k] = wide_add(squares[k], wide_mul(apart, apart));
                }
            }
        }
    }
    let found = ratios(all);
    let share = wide_div(wide_sub(count, wide(1.0)), count);
    let out = columns_at(run);
    columns[out] = all[0];
    for (var k = 0u; k < 4u; k += 1u) {
        columns[out + 1u + 2u * k] = found[k];
        if batches > 1u {
            columns[out + 2u + 2u * k] = wide_sqrt(wide_mul(share, squares[k]));
        }
    }
    columns[out + 9u] = wide_div(all[6], all[0]);
    columns[out + 10u] = wide_from_word(LANES);
}

/// Whether any step was counted in a batch.
fn is_filled(run: u32, batch: u32) -> bool {
    return state[state_at(run) + batch * STREAM_WIDTH].x > 0.0;
}
