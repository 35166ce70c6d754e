// gram_forms — from K as scaled, the matrices raw, cosine and centred on a common scale, and their sums.
//
// in 0 gram [N, N]   in 1 exponent [N]   out 2 forms [3, N, N]   out 3 sums [32 + 3 N], see `plan::layout`   params n
// order: in wide numbers, a column ascending in one thread; 256 running sums over columns, added in a tree; one
// workgroup a run; K being symmetric, columns stand for rows
// import layout
// import wide
// import math
// import reduce
// import scales
//
// raw K_ij 2^-((e_i - e_0) + (e_j - e_0)), e_0 the smallest exponent of the gradients that are not zero;
// cosine K_ij/sqrt(K_ii K_jj), zero rows for zero gradients;
// centred K_ij - r_i/n - r_j/n + s/n^2 with row sums r and total s.

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let n = launch.n;
    let count = wide_from_word(n);
    let head = sums_at(run);
    let diagonals = head + HEAD;
    let raw0 = forms_at(run) + RAW * n * n;
    let cosine0 = forms_at(run) + COSINE * n * n;
    let centred0 = forms_at(run) + CENTRED * n * n;
    let smallest = smallest_exponent(run, lane);
    if lane < HEAD {
        sums[head + lane] = wide(0.0);
    }
    // Means of the columns wait where the raw diagonal will stand, roots of K_ii where that of the cosines will.
    var living = 0u;
    var total = wide(0.0);
    for (var j = lane; j < n; j += LANES) {
        let scale = scale_of(run, j, smallest);
        var sum = wide(0.0);
        for (var i = 0u; i < n; i += 1u) {
            let scales = scale * scale_of(run, i, smallest);
            let raw = wide(select(entry(run, i, j) * scales, 0.0, scales == 0.0));
            forms[raw0 + i * n + j] = raw;
            sum = wide_add(sum, raw);
        }
        let mean = wide_div(sum, count);
        sums[diagonals + RAW * n + j] = mean;
        sums[diagonals + COSINE * n + j] = wide_sqrt(wide_max(wide(entry(run, j, j)), wide(0.0)));
        total = wide_add(total, mean);
        living += select(0u, 1u, has_gradient(run, j));
    }
    let grand = wide_div(sum_lanes(lane, total), count);
    let alive = sum_lanes(lane, wide_from_word(living));
    storageBarrier();
    var squares: array<vec2<f32>, 3>;
    var cosines = wide(0.0);
    var negative = 0u;
    var least = wide(infinite());
    for (var j = lane; j < n; j += LANES) {
        let mean = wide_sub(grand, sums[diagonals + RAW * n + j]);
        let root = sums[diagonals + COSINE * n + j];
        for (var i = 0u; i < n; i += 1u) {
            let raw = forms[raw0 + i * n + j];
            let centred = wide_add(wide_sub(raw, sums[diagonals + RAW * n + i]), mean);
            var cosine = wide(0.0);
            if has_gradient(run, i) && has_gradient(run, j) {
                let norms = wide_mul(root, sums[diagonals + COSINE * n + i]);
                cosine = wide_div(wide(entry(run, i, j)), norms);
                if i == j {
                    cosine = wide(1.0);
                } else if i < j {
                    cosines = wide_add(cosines, cosine);
                    negative += select(0u, 1u, cosine.x < 0.0);
                    least = wide_min(cosine, least);
                }
            }
            forms[cosine0 + i * n + j] = cosine;
            forms[centred0 + i * n + j] = centred;
            squares[RAW] = wide_add(squares[RAW], wide_mul(raw, raw));
            squares[COSINE] = wide_add(squares[COSINE], wide_mul(cosine, cosine));
            squares[CENTRED] = wide_add(squares[CENTRED], wide_mul(centred, centred));
        }
    }
    cosines = sum_lanes(lane, cosines);
    let negatives = sum_lanes(lane, wide_from_word(negative));
    least = least_lanes(lane, least);
    storageBarrier();
    var traces: array<vec2<f32>, 3>;
    for (var form = 0u; form < 3u; form += 1u) {
        var trace = wide(0.0);
        var square = wide(0.0);
        for (var k = lane; k < n; k += LANES) {
            let d = wide_max(forms[forms_at(run) + form * n * n + k * (n + 1u)], wide(0.0));
            sums[diagonals + form * n + k] = d;
            trace = wide_add(trace, d);
            square = wide_add(square, wide_mul(d, d));
        }
        traces[form] = sum_lanes(lane, trace);
        let frobenius2 = sum_lanes(lane, squares[form]);
        square = sum_lanes(lane, square);
        if lane == 0u {
            let at = head + form * PER_FORM;
            sums[at + TRACE] = traces[form];
            sums[at + FROBENIUS2] = frobenius2;
            sums[at + DIAGONAL2] = square;
            sums[at + SAMPLES] = count;
        }
    }
    if lane == 0u {
        sums[head + COSINE * PER_FORM + SAMPLES] = alive;
        sums[head + COSINE_SUM] = cosines;
        sums[head + PAIRS] = 0.5 * wide_mul(alive, wide_sub(alive, wide(1.0)));
        sums[head + COSINE_MIN] = least;
        sums[head + NEGATIVE] = negatives;
        sums[head + CONDITION] = wide_div(traces[RAW], traces[CENTRED]);
    }
}

fn entry(run: u32, i: u32, j: u32) -> f32 {
    return gram[gram_at(run) + i * launch.n + j];
}

fn has_gradient(run: u32, sample: u32) -> bool {
    return entry(run, sample, sample) > 0.0;
}
