// rank_statistics — agreement, ranks and nulls of the three forms, into the row.
//
// in 0 sums [32 + 3 N], see `plan::layout`   in 1 eigenvalues [3, N] ascending (SPECTRUM)   inout 2 scalars
// params n, parameters P   order: in wide numbers, 128 running sums added in a tree; logarithms, roots and nulls in f32;
// one workgroup a run
// import layout
// import wide
// import math
// import reduce
// import null
// import ranks
//
// Ranks as in SCIENCE of the docs: erank (Roy & Vetterli 2007) on singular values and on eigenvalues, participation
// ratio with its population form, stable rank; eigenvalues below 4 N eps lambda_max are dropped, eps that in which K
// was formed. Centred statistics are null where centring costs more digits than K has to spare.

const LANES = 128u;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let head = sums_at(run);
    let row = scalars_at(run) + CONTROL_RATES;
    let pairs = sums[head + PAIRS];
    let condition = sums[head + CONDITION];
    if lane == 0u {
        scalars[row + COLUMN_N] = wide_from_word(launch.n);
        scalars[row + COLUMN_PARAMETERS] = wide_from_word(launch.parameters);
        scalars[row + COLUMN_MEAN_COSINE] = wide_div(sums[head + COSINE_SUM], pairs);
        scalars[row + COLUMN_MIN_COSINE] = select(wide(not_a_number()), sums[head + COSINE_MIN], pairs.x > 0.0);
        scalars[row + COLUMN_NEGATIVE_FRACTION] = wide_div(sums[head + NEGATIVE], pairs);
        // Where nothing is left after centring, as of a single sample, there is no condition.
        scalars[row + COLUMN_CENTRING_CONDITION] = select(wide(not_a_number()), condition, is_finite(condition.x));
    }
    let centred_holds = centring_holds(condition);
    for (var form = 0u; form < 3u; form += 1u) {
        let out = row + select(select(COLUMN_CENTRED, COLUMN_COSINE, form == COSINE), COLUMN_RAW, form == RAW);
        if form == CENTRED && !centred_holds {
            if lane < FORM {
                scalars[out + lane] = wide(not_a_number());
            }
            continue;
        }
        let at = head + form * PER_FORM;
        let trace = sums[at + TRACE];
        var spectrum = unknown_ranks();
        if SPECTRUM != 0u {
            spectrum = ranks_of(eigenvalues_at(run) + form * launch.n, lane);
        }
        // The centred null centres directions that have the raw norms.
        let nulls = null_ranks(head + HEAD + select(form, RAW, form == CENTRED) * launch.n, form == CENTRED, lane);
        if lane == 0u {
            scalars[out] = spectrum.sigma;
            scalars[out + 1u] = spectrum.lambda;
            scalars[out + 2u] = wide_div(wide_mul(trace, trace), sums[at + FROBENIUS2]);
            scalars[out + 3u] = population_ratio(at, form == CENTRED);
            scalars[out + 4u] = wide_div(trace, spectrum.largest);
            scalars[out + 5u] = spectrum.kept;
            scalars[out + 6u] = spectrum.negative;
            scalars[out + 7u] = wide(nulls.x);
            scalars[out + 8u] = wide(nulls.y);
        }
    }
}
