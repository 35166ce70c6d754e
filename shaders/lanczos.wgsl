// lanczos — ranks of a large form from its leading eigenvalues and from random probes of the rest, with standard errors.
//
// in 0 form [N, N]   in 1 sums [8], see `plan::layout`   inout 2 ranks [9], in the order of the columns of `raw.`
// out 3 errors [3], of erank_sigma, erank_lambda and stable_rank   inout 4 room, see `plan::layout`, which means nothing
// afterwards
// params n, probes, dimensions to search at most   control: seed, step
// order: one workgroup a run; vectors, products and eigenvalues in f32, see the shared files; probes eight at a time
// import layout
// import math
// import wide
// import reduce
// import random
// import columns
// import tridiagonal
// import ritz
// import quadrature
//
// As on the CPU, but for the digits: eigenvectors are taken out of the probes where f32 finds them well, which it does
// down to some thousandths of the largest eigenvalue. What lies below is left to the probes, and shows in their errors.

const LANES = 256u;

/// Most rows of a tridiagonal.
const ROWS = KRYLOV;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let run = group.z;
    if !due(run) {
        return;
    }
    let ranks0 = ranks_at(run);
    if lane < 3u {
        errors[errors_at(run) + lane] = wide(not_a_number());
    }
    // The participation ratio is null where the form is.
    if is_nan(ranks[ranks0 + 2u].x) || !prepare(run, lane) {
        return;
    }
    lay_out(run);
    let dimensions = search_space(run, lane);
    if dimensions == 0u || !(values[0] > 0.0) || !is_finite(values[0]) {
        return;
    }
    let top = found_well(dimensions);
    let left = launch.n - top;
    var lines = Lines();
    if left > 0u {
        for (var first = 0u; first < launch.probes; first += KRYLOV_BLOCK) {
            follow_probes(run, first, top, lane);
        }
        lines = fit_lines(lane);
        find_deviations(lines, lane);
    }
    if lane == 0u {
        write_ranks(run, top, lines, dimensions == launch.n);
    }
}

/// Finds the factor of the matrix; returns whether it is finite and not zero.
fn prepare(run: u32, lane: u32) -> bool {
    let form0 = form_at(run);
    var largest = 0.0;
    var broken = 0.0;
    for (var k = lane; k < launch.n * launch.n; k += LANES) {
        let x = abs(form[form0 + k].x);
        largest = select(largest, x, x > largest);
        broken = select(broken, -1.0, !is_finite(x));
    }
    let extremes = extreme_pairs(lane, vec2(largest, broken));
    if extremes.y < 0.0 || extremes.x == 0.0 {
        return false;
    }
    factor = exp2i(-parts(extremes.x).exponent);
    return is_finite(factor);
}

/// Adds up what the leading eigenvalues, the lines and the probes say. One thread alone.
fn write_ranks(run: u32, top: u32, lines: Lines, is_whole: bool) {
    let ranks0 = ranks_at(run);
    let errors0 = errors_at(run);
    let trace = factor * sums[sums_at(run) + TRACE];
    var rest = trace;
    var all = array<vec2<f32>, DEVIATIONS>();
    for (var k = 0u; k < top; k += 1u) {
        let f = functions_of(values[k]);
        rest = wide_sub(rest, wide(values[k]));
        for (var place = 0u; place < DEVIATIONS; place += 1u) {
            all[place] = wide_add(all[place], wide(f[place]));
        }
    }
    var totals = vec4(all[0].x, all[1].x, all[2].x, all[3].x);
    let is_solved = top == launch.n;
    if !is_solved {
        totals += lines.constants * f32(launch.n - top) + lines.slopes * (rest.x / values[0]);
        for (var probe = 0u; probe < launch.probes; probe += 1u) {
            totals += deviations_of(2u * probe) / f32(launch.probes);
        }
    }
    let sigma = rank_of(totals[0], totals[1]);
    let lambda = rank_of(totals[3], totals[2]);
    let stable = wide_div(trace, wide(values[0]));
    ranks[ranks0] = wide(sigma);
    ranks[ranks0 + 1u] = wide(lambda);
    ranks[ranks0 + 4u] = stable;
    if is_solved {
        for (var k = 0u; k < 3u; k += 1u) {
            errors[errors0 + k] = wide(0.0);
        }
        return;
    }
    errors[errors0] = wide(sigma * error_of(totals, 0u, 1u));
    errors[errors0 + 1u] = wide(lambda * error_of(totals, 3u, 2u));
    // The residual of a pair that f32 found exactly is still rounding.
    let residual = select(residuals[0] + 4.0 * EPS * values[0], 0.0, is_whole);
    errors[errors0 + 2u] = wide_mul(stable, wide(residual / values[0]));
}
