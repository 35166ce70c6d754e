// columns — blocks of eight vectors side by side, as row k of which stand four pairs. Needs `layout`, `math`, `random`,
// bindings `form` and `room`, parameters n, probes and dimensions, and 256 threads, all of which must call its functions.
// Order: a thread sums along a column in runs of 64, added ascending; sums over threads are added by sixteens.
//
// Of a wide number only the high half counts, so `room` keeps two numbers in each: of the space that is searched a
// vector and its image, of a block two neighbouring columns, of chains the entries on and below the diagonal.

/// Running sums are added up after so many terms.
const RUN = 64u;

/// Sums of neighbouring threads that are added up.
const SUMS = 16u;

/// Pairs in a row of a block.
const PAIRED = KRYLOV_BLOCK / 2u;

alias Columns = array<vec2<f32>, PAIRED>;

/// Products of a block with other vectors, or its sums on their way.
var<workgroup> pool: array<vec2<f32>, LANES * PAIRED>;

/// Dimensions of the space that is searched at most; the distance between its rows.
var<private> width: u32;
/// Where things start in `room`: the space [n, width], a block and its image [n, 8], the steps of eight probes
/// [n, steps, 8], the projected matrix with its reflectors [width, width], the tridiagonals of eight probes [8, steps], and
/// the nodes and deviations of every probe and half a probe.
var<private> space0: u32;
var<private> block0: u32;
var<private> image0: u32;
var<private> steps0: u32;
var<private> small0: u32;
var<private> chains0: u32;
var<private> nodes0: u32;
/// Power of two by which the matrix is multiplied, so that its largest entry lies in [1/2, 1).
var<private> factor: f32;

fn lay_out(run: u32) {
    let n = launch.n;
    width = min(n, min(launch.dimensions, KRYLOV));
    space0 = room_at(run);
    block0 = space0 + n * width;
    image0 = block0 + n * PAIRED;
    steps0 = image0 + n * PAIRED;
    small0 = steps0 + n * PAIRED * PROBE_STEPS;
    chains0 = small0 + width * width;
    nodes0 = chains0 + KRYLOV_BLOCK * PROBE_STEPS;
}

/// The sum over all threads of each column's number: of sixteen neighbours, then of those sums.
fn sum_columns(lane: u32, own: Columns) -> Columns {
    for (var q = 0u; q < PAIRED; q += 1u) {
        pool[lane * PAIRED + q] = own[q];
    }
    workgroupBarrier();
    var some = vec2(0.0);
    if lane < SUMS * PAIRED {
        for (var k = 0u; k < LANES / SUMS; k += 1u) {
            some += pool[(lane / PAIRED * (LANES / SUMS) + k) * PAIRED + lane % PAIRED];
        }
    }
    workgroupBarrier();
    if lane < SUMS * PAIRED {
        pool[lane] = some;
    }
    workgroupBarrier();
    var sums = Columns();
    for (var q = 0u; q < PAIRED; q += 1u) {
        for (var k = 0u; k < SUMS; k += 1u) {
            sums[q] += pool[k * PAIRED + q];
        }
    }
    workgroupBarrier();
    return sums;
}

/// The sum of one number of each thread.
fn sum_threads(lane: u32, own: f32) -> f32 {
    var first = Columns();
    first[0] = vec2(own, 0.0);
    return sum_columns(lane, first)[0].x;
}

/// Products of the columns of two blocks, each with its like.
fn column_products(one0: u32, other0: u32, lane: u32) -> Columns {
    var sums = Columns();
    for (var k = lane; k < launch.n; k += LANES) {
        for (var q = 0u; q < PAIRED; q += 1u) {
            sums[q] = fma(room[one0 + k * PAIRED + q], room[other0 + k * PAIRED + q], sums[q]);
        }
    }
    return sum_columns(lane, sums);
}

/// Multiplies each column of a block.
fn scale_columns(at: u32, factors: Columns, lane: u32) {
    for (var k = lane; k < launch.n; k += LANES) {
        for (var q = 0u; q < PAIRED; q += 1u) {
            // What a column of zeros is divided by means nothing.
            room[at + k * PAIRED + q] = select(room[at + k * PAIRED + q] * factors[q], vec2(0.0), factors[q] == vec2(0.0));
        }
    }
    storageBarrier();
}

/// The image of the block under the matrix, which is symmetric: so threads read along its rows.
fn multiply(run: u32, lane: u32) {
    let n = launch.n;
    let form0 = form_at(run);
    for (var i = lane; i < n; i += LANES) {
        var sums = Columns();
        for (var first = 0u; first < n; first += RUN) {
            var some = Columns();
            for (var j = first; j < min(first + RUN, n); j += 1u) {
                let entry = vec2(form[form0 + j * n + i].x);
                for (var q = 0u; q < PAIRED; q += 1u) {
                    some[q] = fma(entry, room[block0 + j * PAIRED + q], some[q]);
                }
            }
            for (var q = 0u; q < PAIRED; q += 1u) {
                sums[q] += some[q];
            }
        }
        for (var q = 0u; q < PAIRED; q += 1u) {
            room[image0 + i * PAIRED + q] = factor * sums[q];
        }
    }
    storageBarrier();
}

/// Takes from a block what lies along the first `count` vectors of the space, which are orthonormal.
fn project_out(at: u32, count: u32, lane: u32) {
    let n = launch.n;
    if count == 0u {
        return;
    }
    if lane < count {
        var sums = Columns();
        for (var first = 0u; first < n; first += RUN) {
            var some = Columns();
            for (var k = first; k < min(first + RUN, n); k += 1u) {
                let entry = vec2(room[space0 + k * width + lane].x);
                for (var q = 0u; q < PAIRED; q += 1u) {
                    some[q] = fma(entry, room[at + k * PAIRED + q], some[q]);
                }
            }
            for (var q = 0u; q < PAIRED; q += 1u) {
                sums[q] += some[q];
            }
        }
        for (var q = 0u; q < PAIRED; q += 1u) {
            pool[lane * PAIRED + q] = sums[q];
        }
    }
    workgroupBarrier();
    for (var k = lane; k < n; k += LANES) {
        var rest = Columns();
        for (var q = 0u; q < PAIRED; q += 1u) {
            rest[q] = room[at + k * PAIRED + q];
        }
        for (var other = 0u; other < count; other += 1u) {
            let entry = vec2(-room[space0 + k * width + other].x);
            for (var q = 0u; q < PAIRED; q += 1u) {
                rest[q] = fma(entry, pool[other * PAIRED + q], rest[q]);
            }
        }
        for (var q = 0u; q < PAIRED; q += 1u) {
            room[at + k * PAIRED + q] = rest[q];
        }
    }
    storageBarrier();
}

/// Fills the first `count` columns of the block with random signs, the others with zeros.
///
/// Sign k of vector `sub` is bit k % 64 of word `step * ceil(n / 64) + k / 64` of stream (seed, Probe), sub-stream `sub`.
fn fill_signs(run: u32, sub: u32, count: u32, lane: u32) {
    let control0 = run * launch.control_stride;
    let seed = vec2(control[control0 + CONTROL_SEED_LOW], control[control0 + CONTROL_SEED_HIGH]);
    let start = long_product(control[control0 + CONTROL_STEP], (launch.n + 63u) / 64u);
    for (var k = lane; k < launch.n; k += LANES) {
        let index = long_sum(start, k / 64u);
        let half = vec2((index.y >> 1u) | (index.x << 31u), index.x >> 1u);
        let word = 2u * (index.y & 1u) + k % 64u / 32u;
        for (var q = 0u; q < PAIRED; q += 1u) {
            var signs = vec2(0.0);
            for (var side = 0u; side < 2u; side += 1u) {
                let column = 2u * q + side;
                if column < count {
                    let bits = philox(vec4(half, sub + column, PURPOSE_PROBE), seed);
                    signs[side] = select(-1.0, 1.0, ((bits[word] >> (k % 32u)) & 1u) != 0u);
                }
            }
            room[block0 + k * PAIRED + q] = signs;
        }
    }
    storageBarrier();
}
