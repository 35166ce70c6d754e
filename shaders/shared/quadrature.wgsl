// quadrature — sums of functions over the eigenvalues that are left beside the leading ones, by stochastic Lanczos
// quadrature in f32. Needs what `ritz` needs, and `ritz`; all threads must call its functions, but for those that say
// otherwise.

/// Distance from 1 to the next f32.
const EPS = 1.1920929e-7;

/// A chain ends where less than this share of the largest eigenvalue is left of a step.
const EXHAUSTED = 2e-7;

/// Nodes and deviations of a probe, at all its steps or at half of them.
const NODES = PROBE_STEPS + DEVIATIONS;

/// The functions, of eigenvalues relative to the largest: root, root times its logarithm, eigenvalue times its logarithm,
/// eigenvalue; all 0 below the threshold. Any thread may call it.
fn functions_of(value: f32) -> vec4<f32> {
    let largest = values[0];
    if value < 4.0 * f32(launch.n) * EPS * largest || value <= 0.0 {
        return vec4(0.0);
    }
    let x = value / largest;
    let root = sqrt(x);
    return vec4(root, root * log_exact(root), x * log_exact(x), x);
}

/// A line for each function: its constant and its slope.
struct Lines {
    constants: vec4<f32>,
    slopes: vec4<f32>,
}

/// Takes up to eight probes, from `first` on, through their steps, and finds their nodes beside the `top` leading pairs.
fn follow_probes(run: u32, first: u32, top: u32, lane: u32) {
    let n = launch.n;
    let count = min(KRYLOV_BLOCK, launch.probes - first);
    fill_signs(run, KRYLOV_BLOCK + first, count, lane);
    for (var turn = 0u; turn < 2u; turn += 1u) {
        project_out(block0, top, lane);
    }
    let weights = column_products(block0, block0, lane);
    scale_columns(block0, inverses(weights), lane);
    let most = min(PROBE_STEPS, n - top);
    // Steps of each probe, of which those with a next vector go on.
    var ends = array<vec2<u32>, PAIRED>();
    var alive = weights;
    for (var step = 0u; step < most; step += 1u) {
        multiply(run, lane);
        project_out(image0, top, lane);
        let along = column_products(block0, image0, lane);
        for (var k = lane; k < n; k += LANES) {
            for (var q = 0u; q < PAIRED; q += 1u) {
                room[steps0 + (k * PROBE_STEPS + step) * PAIRED + q] = room[block0 + k * PAIRED + q];
            }
        }
        storageBarrier();
        for (var turn = 0u; turn < 2u; turn += 1u) {
            leave_chain(step + 1u, lane);
        }
        let squares = column_products(image0, image0, lane);
        if lane < KRYLOV_BLOCK {
            let entry = vec2(along[lane / 2u][lane % 2u], sqrt(squares[lane / 2u][lane % 2u]));
            room[chains0 + lane * PROBE_STEPS + step] = entry;
        }
        let negligible = EXHAUSTED * values[0];
        var goes_on = false;
        for (var q = 0u; q < PAIRED; q += 1u) {
            ends[q] = select(ends[q], vec2(step + 1u), alive[q] > vec2(0.0));
            alive[q] = select(vec2(0.0), squares[q], (alive[q] > vec2(0.0)) & (squares[q] > vec2(negligible * negligible)));
            goes_on = goes_on || alive[q].x > 0.0 || alive[q].y > 0.0;
        }
        if !goes_on {
            break;
        }
        scale_columns(image0, inverses(alive), lane);
        // Rounding of large eigenvalues would grow again.
        project_out(image0, top, lane);
        for (var k = lane; k < n; k += LANES) {
            for (var q = 0u; q < PAIRED; q += 1u) {
                room[block0 + k * PAIRED + q] = room[image0 + k * PAIRED + q];
            }
        }
        storageBarrier();
    }
    storageBarrier();
    // A thread solves the tridiagonal of one probe, at all its steps or at half of them.
    let probe = lane / 2u;
    if probe < count {
        let end = ends[probe / 2u][probe % 2u];
        let size = select(end, (end + 1u) / 2u, lane % 2u == 1u);
        let at = nodes0 + ((first + probe) * 2u + lane % 2u) * NODES;
        find_nodes(chains0 + probe * PROBE_STEPS, size, weights[probe / 2u][probe % 2u], at);
    }
    storageBarrier();
}

/// One over the root of each number; 0 for those that are 0.
fn inverses(squares: Columns) -> Columns {
    var all = Columns();
    for (var q = 0u; q < PAIRED; q += 1u) {
        all[q] = select(vec2(0.0), inverseSqrt(squares[q]), squares[q] > vec2(0.0));
    }
    return all;
}

/// Takes from each image what lies along the first `count` steps of its own probe.
fn leave_chain(count: u32, lane: u32) {
    let n = launch.n;
    if lane < count * PAIRED {
        var sum = vec2(0.0);
        for (var first = 0u; first < n; first += RUN) {
            var some = vec2(0.0);
            for (var k = first; k < min(first + RUN, n); k += 1u) {
                let step = room[steps0 + k * PROBE_STEPS * PAIRED + lane];
                some = fma(step, room[image0 + k * PAIRED + lane % PAIRED], some);
            }
            sum += some;
        }
        pool[lane] = sum;
    }
    workgroupBarrier();
    for (var k = lane; k < n; k += LANES) {
        var rest = Columns();
        for (var q = 0u; q < PAIRED; q += 1u) {
            rest[q] = room[image0 + k * PAIRED + q];
        }
        for (var step = 0u; step < count; step += 1u) {
            for (var q = 0u; q < PAIRED; q += 1u) {
                let entry = room[steps0 + (k * PROBE_STEPS + step) * PAIRED + q];
                rest[q] = fma(-entry, pool[step * PAIRED + q], rest[q]);
            }
        }
        for (var q = 0u; q < PAIRED; q += 1u) {
            room[image0 + k * PAIRED + q] = rest[q];
        }
    }
    storageBarrier();
}

/// Eigenvalues of the first `size` rows of a chain with their share of its weight; zeros behind them. A thread by itself.
fn find_nodes(chain: u32, size: u32, weight: f32, at: u32) {
    for (var k = 0u; k < size; k += 1u) {
        let entry = room[chain + k];
        diagonal[k] = entry.x;
        below[k] = entry.y;
        row[k] = select(0.0, 1.0, k == 0u);
    }
    solve_tridiagonal(size);
    for (var k = 0u; k < PROBE_STEPS; k += 1u) {
        var node = vec2(0.0);
        if k < size {
            node = vec2(diagonal[k], weight * row[k] * row[k]);
        }
        room[at + k] = node;
    }
}

/// The line nearest to each function, over all nodes of all probes. A thread adds up one of the sums for it, in wide
/// numbers: of the weights w, of w x, w x^2, and for each function f of w f and w x f.
fn fit_lines(lane: u32) -> Lines {
    if lane < 3u + 2u * DEVIATIONS {
        var sum = wide(0.0);
        for (var k = 0u; k < launch.probes * PROBE_STEPS; k += 1u) {
            let node = room[nodes0 + k / PROBE_STEPS * 2u * NODES + k % PROBE_STEPS];
            let x = node.x / values[0];
            let moment = select(1.0, x, lane == 1u || lane == 2u || lane >= 3u + DEVIATIONS);
            var other = select(1.0, x, lane == 2u);
            if lane >= 3u {
                other = functions_of(node.x)[(lane - 3u) % DEVIATIONS];
            }
            sum = wide_add(sum, wide_mul(two_product(node.y, moment), wide(other)));
        }
        pool[lane] = sum;
    }
    workgroupBarrier();
    var sums = array<vec2<f32>, 3u + 2u * DEVIATIONS>();
    for (var place = 0u; place < 3u + 2u * DEVIATIONS; place += 1u) {
        sums[place] = pool[place];
    }
    let both = wide_mul(sums[0], sums[2]);
    let spread = wide_sub(both, wide_mul(sums[1], sums[1]));
    var lines = Lines();
    for (var place = 0u; place < DEVIATIONS; place += 1u) {
        // Any line will do, so a spectrum without width gets a constant.
        if spread.x > 1e-9 * both.x {
            let shared_part = wide_sub(wide_mul(sums[0], sums[7u + place]), wide_mul(sums[1], sums[3u + place]));
            lines.slopes[place] = narrow(wide_div(shared_part, spread));
        }
        let rest = wide_sub(sums[3u + place], wide_mul(wide(lines.slopes[place]), sums[1]));
        lines.constants[place] = narrow(wide_div(rest, sums[0]));
    }
    return lines;
}

/// What each probe, at all its steps and at half of them, says about the sums of what deviates from the lines.
fn find_deviations(lines: Lines, lane: u32) {
    for (var half = lane; half < 2u * launch.probes; half += LANES) {
        let at = nodes0 + half * NODES;
        var sum = vec4(0.0);
        for (var k = 0u; k < PROBE_STEPS; k += 1u) {
            let node = room[at + k];
            let line = lines.constants + lines.slopes * (node.x / values[0]);
            sum += node.y * (functions_of(node.x) - line);
        }
        for (var place = 0u; place < DEVIATIONS; place += 1u) {
            room[at + PROBE_STEPS + place].x = sum[place];
        }
    }
    storageBarrier();
}

/// The deviations of a probe, or of half of it.
fn deviations_of(half: u32) -> vec4<f32> {
    let at = nodes0 + half * NODES + PROBE_STEPS;
    return vec4(room[at].x, room[at + 1u].x, room[at + 2u].x, room[at + 3u].x);
}

/// exp(ln S - L/S), S and L the sums of x and of x ln x.
fn rank_of(s: f32, l: f32) -> f32 {
    return s * exp_exact(-l / s);
}

/// Standard error of the logarithm of `rank_of`, to first order in the deviations: the scatter between probes, and a third
/// of what half as many steps would change, which is what is left where errors fall with the square of their number.
fn error_of(totals: vec4<f32>, s: u32, l: u32) -> f32 {
    let count = f32(launch.probes);
    let slope = (1.0 + totals[l] / totals[s]) / totals[s];
    var mean = 0.0;
    var coarse = 0.0;
    for (var probe = 0u; probe < launch.probes; probe += 1u) {
        let d = deviations_of(2u * probe);
        let half = deviations_of(2u * probe + 1u);
        mean += (d[s] * slope - d[l] / totals[s]) / count;
        coarse += (half[s] * slope - half[l] / totals[s]) / count;
    }
    var squares = 0.0;
    for (var probe = 0u; probe < launch.probes; probe += 1u) {
        let d = deviations_of(2u * probe);
        let apart = d[s] * slope - d[l] / totals[s] - mean;
        squares += apart * apart;
    }
    let change = (coarse - mean) / 3.0;
    return sqrt(squares / (count - 1.0) / count + change * change);
}
