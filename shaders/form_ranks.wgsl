// form_ranks — ranks and nulls of one form, in the order of the columns of `raw.`.
//
// in 0 sums [8 + N], see `plan::layout`   in 1 eigenvalues [N] ascending (SPECTRUM)   out 2 ranks [9]
// params n, parameters P   order: in wide numbers, 128 running sums added in a tree; logarithms, roots and nulls in f32;
// one workgroup a run
// import layout
// import wide
// import math
// import reduce
// import null
// import ranks
//
// As `rank_statistics`. CENTRED: unit vectors less their mean, with the population form and the null that go with it;
// null where centring costs more digits than K has to spare.

const LANES = 128u;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let head = sums_at(run);
    let out = ranks_at(run);
    if CENTRED != 0u && !centring_holds(sums[head + FORM_CONDITION]) {
        for (var k = lane; k < FORM; k += LANES) {
            ranks[out + k] = wide(not_a_number());
        }
        return;
    }
    let trace = sums[head + TRACE];
    var spectrum = unknown_ranks();
    if SPECTRUM != 0u {
        spectrum = ranks_of(eigenvalues_at(run), lane);
    }
    var nulls: vec2<f32>;
    if CENTRED != 0u {
        nulls = null_of_units(narrow(sums[head + SAMPLES]));
    } else {
        nulls = null_ranks(head + PER_FORM, false, lane);
    }
    if lane == 0u {
        ranks[out] = spectrum.sigma;
        ranks[out + 1u] = spectrum.lambda;
        ranks[out + 2u] = wide_div(wide_mul(trace, trace), sums[head + FROBENIUS2]);
        ranks[out + 3u] = population_ratio(head, CENTRED != 0u);
        ranks[out + 4u] = wide_div(trace, spectrum.largest);
        ranks[out + 5u] = spectrum.kept;
        ranks[out + 6u] = spectrum.negative;
        ranks[out + 7u] = wide(nulls.x);
        ranks[out + 8u] = wide(nulls.y);
    }
}

/// What `null` says of `count` equal norms after centring, in closed form: it leaves count - 1 equal levels, whose pairs
/// all add the same.
fn null_of_units(count: f32) -> vec2<f32> {
    let levels = count - 1.0;
    let parameters = f32(launch.parameters);
    if parameters < 16.0 * count || !(levels > 0.0) {
        return vec2(not_a_number());
    }
    return levels * vec2(1.0 - (levels - 1.0) / (8.0 * parameters), exp_exact(-(levels - 1.0) / (2.0 * parameters)));
}
