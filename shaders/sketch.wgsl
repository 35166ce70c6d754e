// sketch — two independent two-sided sketches [N, 2, 64] of every sample's gradient, as scaled.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 sketch [N, 2, 8, 8]
// params n, sites   control: seed, step
// order: sites, then positions ascending; products in 8 running sums over places, added ascending; a workgroup takes one
// sample, a thread one number of its two sketches
// import layout
// import sites
// import random
//
// Sketch (row, column) of sample i is the sum over sites and positions of (L b_it)_row (R a_it)_column, L and R with
// entries of one size and random signs, other ones for each site, sketch and step. a is the input, with a 1 behind it
// for a bias; a unit vector for tables of tokens and positions; 1 for gradients that are there.
// Signs: bit `row` of word `step * width + place` of stream (seed, Sketch), sub-stream 4 site + 2 sketch + (0 for L, 1
// for R), in which `place` counts the entries of b or a.

const LANES = 128u;
const AREA = SKETCH_SIDE * SKETCH_SIDE;

/// Rows of L b or R a of both sketches, and running sums of each.
const ROWS = 2u * SKETCH_SIDE;
const PARTS = LANES / ROWS;

/// Size of every entry of L and R: one over the root of the sketch's side.
const SIZE = 0.35355339;

/// Signs of LANES places: bits of the first sketch, behind them those of the second.
var<workgroup> words: array<u32, LANES>;
var<workgroup> parts: array<f32, LANES>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    let sample = group_index(group);
    if !due(run) || sample >= launch.n {
        return;
    }
    let row = lane / SKETCH_SIDE;
    let column = lane / AREA * SKETCH_SIDE + lane % SKETCH_SIDE;
    let step = control[run * launch.control_stride + CONTROL_STEP];
    var sum = 0.0;
    for (var number = 0u; number < launch.sites; number += 1u) {
        let site = site_at(run, number);
        let is_linear = site.kind <= LINEAR_BIAS;
        let width = site.d_in + select(0u, 1u, site.kind == LINEAR_BIAS);
        for (var t = 0u; t < site.positions; t += 1u) {
            let b = b_row(run, site, sample, t);
            let left = projection(run, false, b, vec2(site.d_out, site.d_out), 4u * number, lane, row);
            var right = 0.0;
            if is_linear {
                let a = a_row(run, site, sample, t);
                right = projection(run, true, a, vec2(site.d_in, width), 4u * number + 1u, lane, column);
            } else {
                var place = t;
                if site.kind == EMBEDDING {
                    place = id_of(run, site, sample, t);
                }
                let word = signs(run, 4u * number + 1u, vec2(step, place));
                right = with_sign(SIZE, word, column);
            }
            sum = fma(left, right, sum);
        }
    }
    sketch[sketch_at(run) + sample * 2u * AREA + lane] = sum;
}

/// Number `wanted` among the ROWS of L b or R a: `widths` are how many numbers are there, and how many with the 1 behind
/// them. Every thread must call it.
fn projection(run: u32, of_a: bool, start: u32, widths: vec2<u32>, sub: u32, lane: u32, wanted: u32) -> f32 {
    let step = control[run * launch.control_stride + CONTROL_STEP];
    let own = lane / PARTS;
    var sum = 0.0;
    for (var first = 0u; first < widths.y; first += LANES) {
        if first + lane < widths.y {
            words[lane] = signs(run, sub, long_sum(long_product(step, widths.y), first + lane));
        }
        workgroupBarrier();
        for (var k = lane % PARTS; k < LANES && first + k < widths.y; k += PARTS) {
            var x = 1.0;
            if first + k < widths.x {
                x = load_entry(of_a, start + first + k);
            }
            sum += with_sign(x, words[k], own);
        }
        workgroupBarrier();
    }
    parts[lane] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var part = 0u; part < PARTS; part += 1u) {
        total += parts[wanted * PARTS + part];
    }
    workgroupBarrier();
    return SIZE * total;
}

fn load_entry(of_a: bool, place: u32) -> f32 {
    if of_a {
        return activations[place];
    }
    return cotangents[place];
}

/// x where the bit is set, else -x.
fn with_sign(x: f32, word: u32, bit: u32) -> f32 {
    return select(-x, x, ((word >> bit) & 1u) != 0u);
}

/// The low bits of word `index` (high, low) of sub-stream `sub`, behind them those of the second sketch's.
fn signs(run: u32, sub: u32, index: vec2<u32>) -> u32 {
    let block = run * launch.control_stride;
    let seed = vec2(control[block + CONTROL_SEED_LOW], control[block + CONTROL_SEED_HIGH]);
    let half = vec2((index.y >> 1u) | (index.x << 31u), index.x >> 1u);
    let mask = (1u << SKETCH_SIDE) - 1u;
    var word = 0u;
    for (var copy = 0u; copy < 2u; copy += 1u) {
        let found = philox(vec4(half, sub + 2u * copy, PURPOSE_SKETCH), seed);
        word |= (select(found.x, found.z, (index.y & 1u) != 0u) & mask) << (copy * SKETCH_SIDE);
    }
    return word;
}
