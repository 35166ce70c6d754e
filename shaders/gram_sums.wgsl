// gram_sums — the sums of `gram_forms` from the tiles of `gram_stream`, where no matrix is stored.
//
// in 0 tiles [tiles, 264]   in 1 norm [N]   in 2 exponent [N]   out 3 sums [32 + 3 N], see `plan::layout`   params n
// order: in wide numbers, a sample's tiles ascending in one thread; 256 running sums over samples or tiles, added in a
// tree; one workgroup a run
// import layout
// import wide
// import math
// import reduce
// import scales
//
// With row sums r and total s: diag_c = K_ii - 2 r_i/n + s/n^2, |HKH|_F^2 = |K|_F^2 - 2/n |r|^2 + s^2/n^2.

const LANES = 256u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let n = launch.n;
    let count = wide_from_word(n);
    let side = (n + GRAM_TILE - 1u) / GRAM_TILE;
    let head = sums_at(run);
    let diagonals = head + HEAD;
    let smallest = smallest_exponent(run, lane);
    if lane < HEAD {
        sums[head + lane] = wide(0.0);
    }
    var square = wide(0.0);
    var cosines = wide(0.0);
    var cosine_squares = wide(0.0);
    var negative = wide(0.0);
    var least = wide(infinite());
    for (var tile = lane; tile < side * (side + 1u) / 2u; tile += LANES) {
        let at = tiles_at(run) + tile * TILE;
        square = wide_add(square, tiles[at + TILE_FROBENIUS2]);
        cosines = wide_add(cosines, tiles[at + TILE_COSINE]);
        cosine_squares = wide_add(cosine_squares, tiles[at + TILE_COSINE2]);
        negative = wide_add(negative, tiles[at + TILE_NEGATIVE]);
        least = wide_min(tiles[at + TILE_MIN], least);
    }
    square = sum_lanes(lane, square);
    cosines = sum_lanes(lane, cosines);
    cosine_squares = sum_lanes(lane, cosine_squares);
    negative = sum_lanes(lane, negative);
    least = least_lanes(lane, least);
    // Row sums wait where the centred diagonal will stand; a thread meets the same samples again.
    var trace = wide(0.0);
    var own_square = wide(0.0);
    var total = wide(0.0);
    var row_square = wide(0.0);
    var living = 0u;
    for (var sample = lane; sample < n; sample += LANES) {
        let scale = scale_of(run, sample, smallest);
        let own = norm[norm_at(run) + sample] * (scale * scale);
        let row = wide_add(own, row_sum(run, sample, side));
        trace = wide_add(trace, own);
        own_square = wide_add(own_square, wide_mul(own, own));
        total = wide_add(total, row);
        row_square = wide_add(row_square, wide_mul(row, row));
        living += select(0u, 1u, has_gradient(run, sample));
        sums[diagonals + RAW * n + sample] = own;
        sums[diagonals + COSINE * n + sample] = wide(select(0.0, 1.0, has_gradient(run, sample)));
        sums[diagonals + CENTRED * n + sample] = row;
    }
    trace = sum_lanes(lane, trace);
    own_square = sum_lanes(lane, own_square);
    total = sum_lanes(lane, total);
    row_square = sum_lanes(lane, row_square);
    let alive = sum_lanes(lane, wide_from_word(living));
    let mean = wide_div(total, count);
    var centred_trace = wide(0.0);
    var centred_square = wide(0.0);
    for (var sample = lane; sample < n; sample += LANES) {
        let place = diagonals + CENTRED * n + sample;
        let lost = wide_div(wide_sub(2.0 * sums[place], mean), count);
        let centred = wide_max(wide_sub(sums[diagonals + RAW * n + sample], lost), wide(0.0));
        sums[place] = centred;
        centred_trace = wide_add(centred_trace, centred);
        centred_square = wide_add(centred_square, wide_mul(centred, centred));
    }
    centred_trace = sum_lanes(lane, centred_trace);
    centred_square = sum_lanes(lane, centred_square);
    storageBarrier();
    if lane > 0u {
        return;
    }
    let frobenius2 = wide_add(2.0 * square, own_square);
    let rows = wide_sub(wide_mul(mean, mean), wide_div(2.0 * row_square, count));
    put_form(head, RAW, array(trace, frobenius2, own_square, count));
    put_form(head, COSINE, array(alive, wide_add(2.0 * cosine_squares, alive), alive, alive));
    put_form(head, CENTRED, array(centred_trace, wide_add(frobenius2, rows), centred_square, count));
    sums[head + COSINE_SUM] = cosines;
    sums[head + PAIRS] = 0.5 * wide_mul(alive, wide_sub(alive, wide(1.0)));
    sums[head + COSINE_MIN] = least;
    sums[head + NEGATIVE] = negative;
    sums[head + CONDITION] = wide_div(trace, centred_trace);
}

fn put_form(head: u32, form: u32, found: array<vec2<f32>, 4>) {
    let at = head + form * PER_FORM;
    sums[at + TRACE] = found[0];
    sums[at + FROBENIUS2] = found[1];
    sums[at + DIAGONAL2] = found[2];
    sums[at + SAMPLES] = found[3];
}

fn has_gradient(run: u32, sample: u32) -> bool {
    return norm[norm_at(run) + sample].x > 0.0;
}

/// Sum of a row of K but its diagonal: the tiles in which the sample is a column, then those in which it is a row.
fn row_sum(run: u32, sample: u32, side: u32) -> vec2<f32> {
    let block = sample / GRAM_TILE;
    let place = TILE_ROWS + sample % GRAM_TILE;
    var sum = wide(0.0);
    for (var i = 0u; i <= block; i += 1u) {
        let tile = i * side - i * (i + 1u) / 2u + block;
        sum = wide_add(sum, tiles[tiles_at(run) + tile * TILE + place + GRAM_TILE]);
    }
    for (var j = block; j < side; j += 1u) {
        let tile = block * side - block * (block + 1u) / 2u + j;
        sum = wide_add(sum, tiles[tiles_at(run) + tile * TILE + place]);
    }
    return sum;
}
