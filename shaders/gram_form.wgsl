// gram_form — from K as scaled, one matrix and its sums. FORM 0 raw, 1 centred cosine.
//
// in 0 gram [N, N]   in 1 exponent [N]   out 2 form [N, N]   out 3 sums [8 + N], see `plan::layout`   params n
// order: in wide numbers, a column ascending in one thread; 256 running sums over columns, added in a tree; one
// workgroup a run; K being symmetric, columns stand for rows
// import layout
// import wide
// import math
// import reduce
// import scales
//
// raw K_ij 2^-((e_i - e_0) + (e_j - e_0)), e_0 the smallest exponent of the gradients that are not zero;
// centred cosine C_ij - r_i/m - r_j/m + s/m^2 over the m gradients that are not zero, C their cosines with row sums r
// and total s; zero rows for the others.

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let n = launch.n;
    let head = sums_at(run);
    var living = 0u;
    for (var j = lane; j < n; j += LANES) {
        living += select(0u, 1u, has_gradient(run, j));
    }
    var samples = wide_from_word(n);
    if FORM == 0u {
        fill_raw(run, lane);
    } else {
        samples = sum_lanes(lane, wide_from_word(living));
        fill_centred(run, samples, lane);
    }
    var trace = wide(0.0);
    var square = wide(0.0);
    var diagonal2 = wide(0.0);
    for (var j = lane; j < n; j += LANES) {
        for (var i = 0u; i < n; i += 1u) {
            let x = form[place_of(run, i, j)];
            square = wide_add(square, wide_mul(x, x));
        }
        let d = wide_max(form[place_of(run, j, j)], wide(0.0));
        sums[head + PER_FORM + j] = d;
        trace = wide_add(trace, d);
        diagonal2 = wide_add(diagonal2, wide_mul(d, d));
    }
    trace = sum_lanes(lane, trace);
    square = sum_lanes(lane, square);
    diagonal2 = sum_lanes(lane, diagonal2);
    if lane < PER_FORM {
        sums[head + lane] = wide(0.0);
    }
    storageBarrier();
    if lane == 0u {
        sums[head + TRACE] = trace;
        sums[head + FROBENIUS2] = square;
        sums[head + DIAGONAL2] = diagonal2;
        sums[head + SAMPLES] = samples;
        sums[head + FORM_CONDITION] = wide(1.0);
        if FORM != 0u {
            sums[head + FORM_CONDITION] = wide_div(samples, trace);
        }
    }
}

fn fill_raw(run: u32, lane: u32) {
    let smallest = smallest_exponent(run, lane);
    for (var j = lane; j < launch.n; j += LANES) {
        let own = scale_of(run, j, smallest);
        for (var i = 0u; i < launch.n; i += 1u) {
            let scales = own * scale_of(run, i, smallest);
            form[place_of(run, i, j)] = wide(select(entry(run, i, j) * scales, 0.0, scales == 0.0));
        }
    }
}

/// Roots of K_ii, then means of the columns, stand where the diagonal will.
fn fill_centred(run: u32, samples: vec2<f32>, lane: u32) {
    let n = launch.n;
    let beside = sums_at(run) + PER_FORM;
    for (var j = lane; j < n; j += LANES) {
        sums[beside + j] = wide_sqrt(wide(select(0.0, entry(run, j, j), has_gradient(run, j))));
    }
    storageBarrier();
    var total = wide(0.0);
    for (var j = lane; j < n; j += LANES) {
        var sum = wide(0.0);
        for (var i = 0u; i < n; i += 1u) {
            var cosine = wide(0.0);
            if has_gradient(run, i) && has_gradient(run, j) {
                cosine = wide_div(wide(entry(run, i, j)), wide_mul(sums[beside + i], sums[beside + j]));
                if i == j {
                    cosine = wide(1.0);
                }
            }
            form[place_of(run, i, j)] = cosine;
            sum = wide_add(sum, cosine);
        }
        // A diagonal entry is known to be 1, so its place is free until all have read the roots.
        let mean = wide_div(sum, samples);
        form[place_of(run, j, j)] = mean;
        total = wide_add(total, mean);
    }
    let grand = wide_div(sum_lanes(lane, total), samples);
    storageBarrier();
    for (var j = lane; j < n; j += LANES) {
        sums[beside + j] = form[place_of(run, j, j)];
    }
    storageBarrier();
    for (var j = lane; j < n; j += LANES) {
        for (var i = 0u; i < n; i += 1u) {
            var centred = wide(0.0);
            if has_gradient(run, i) && has_gradient(run, j) {
                var cosine = form[place_of(run, i, j)];
                if i == j {
                    cosine = wide(1.0);
                }
                let means = wide_add(sums[beside + i], sums[beside + j]);
                centred = wide_add(cosine, wide_sub(grand, means));
            }
            form[place_of(run, i, j)] = centred;
        }
    }
    storageBarrier();
}

fn place_of(run: u32, i: u32, j: u32) -> u32 {
    return form_at(run) + i * launch.n + j;
}

fn entry(run: u32, i: u32, j: u32) -> f32 {
    return gram[gram_at(run) + i * launch.n + j];
}

fn has_gradient(run: u32, sample: u32) -> bool {
    return entry(run, sample, sample) > 0.0;
}
