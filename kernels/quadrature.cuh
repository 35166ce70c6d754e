// quadrature — sums of functions over the eigenvalues that are left beside the leading ones, by stochastic Lanczos
// quadrature, in f64. All threads of a block must call its functions, but for those that say otherwise.
// import ritz

/// A chain ends where less than this share of the largest eigenvalue is left of a step.
constexpr wide EXHAUSTED = 1e-14;

/// One number for each function.
struct Functions {
    wide of[DEVIATIONS];
};

/// What they are of: eigenvalues relative to the largest, none below the threshold.
struct Measure {
    wide largest;
    wide threshold;

    /// Root, root times its logarithm, eigenvalue times its logarithm, eigenvalue. Any thread may call it.
    __device__ Functions of(wide value) const {
        if (value < threshold || value <= 0.0) {
            return Functions{};
        }
        const wide x = value / largest;
        const wide root = sqrt(x);
        return Functions{{root, root * log(root), x * log(x), x}};
    }
};

/// A line for each function: its constant and its slope.
struct Lines {
    Functions constants;
    Functions slopes;
};

/// Takes from each image what lies along the first `count` steps of its own probe.
__device__ NOINLINE void leave_chain(const Krylov& at, KrylovShared& shared, u64 count) {
    constexpr u64 ROW = PROBE_STEPS * KRYLOV_BLOCK;
    for (u64 place = threadIdx.x; place < count * KRYLOV_BLOCK; place += blockDim.x) {
        wide sum = 0;
        for (u64 k = 0; k < at.n; k++) {
            sum += at.steps[k * ROW + place] * at.image[k * KRYLOV_BLOCK + place % KRYLOV_BLOCK];
        }
        shared.pool[place] = sum;
    }
    __syncthreads();
    for (u64 k = threadIdx.x; k < at.n; k += blockDim.x) {
        Columns rest = {};
        for (u64 step = 0; step < count; step++) {
            UNROLL
            for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
                rest.of[c] += at.steps[k * ROW + step * KRYLOV_BLOCK + c] * shared.pool[step * KRYLOV_BLOCK + c];
            }
        }
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            at.image[k * KRYLOV_BLOCK + c] -= rest.of[c];
        }
    }
    __syncthreads();
}

/// Eigenvalues of the first `size` rows of a chain with their share of its weight; zeros behind them. A thread by itself.
__device__ NOINLINE void find_nodes(const Krylov& at, u64 probe, u32 size, wide weight, wide* nodes) {
    Tridiagonal<PROBE_STEPS> t;
    for (u32 k = 0; k < size; k++) {
        t.diagonal[k] = at.chain_diagonal[probe * PROBE_STEPS + k];
        t.below[k] = at.chain_below[probe * PROBE_STEPS + k];
        t.row[k] = k == 0 ? 1.0 : 0.0;
    }
    solve_tridiagonal(t, size);
    for (u32 k = 0; k < PROBE_STEPS; k++) {
        nodes[k] = k < size ? t.diagonal[k] : 0.0;
        nodes[PROBE_STEPS + k] = k < size ? weight * t.row[k] * t.row[k] : 0.0;
    }
}

/// Takes up to eight probes, from `first` on, through their steps, and finds their nodes beside the `top` leading pairs.
__device__ NOINLINE void follow_probes(const Krylov& at, KrylovShared& shared, const u32* control, u64 first, u64 top) {
    const u64 count = at.probes - first < KRYLOV_BLOCK ? at.probes - first : KRYLOV_BLOCK;
    fill_signs(at, control, KRYLOV_BLOCK + first, count);
    for (u32 turn = 0; turn < 2; turn++) {
        project_out(at, shared, at.block, top);
    }
    const Columns weights = column_products(shared, at.n, at.block, at.block);
    Columns lengths;
    // Steps of each probe; those that have a next vector go on.
    u32 ends[KRYLOV_BLOCK];
    UNROLL
    for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
        lengths.of[c] = sqrt(weights.of[c]);
        ends[c] = 0;
    }
    divide_columns(at.n, at.block, lengths);
    const u64 most = PROBE_STEPS < at.n - top ? PROBE_STEPS : at.n - top;
    bool goes_on = true;
    for (u64 step = 0; step < most && goes_on; step++) {
        multiply_block(at);
        project_out(at, shared, at.image, top);
        const Columns along = column_products(shared, at.n, at.block, at.image);
        for (u64 k = threadIdx.x; k < at.n * KRYLOV_BLOCK; k += blockDim.x) {
            at.steps[(k / KRYLOV_BLOCK * PROBE_STEPS + step) * KRYLOV_BLOCK + k % KRYLOV_BLOCK] = at.block[k];
        }
        __syncthreads();
        for (u32 turn = 0; turn < 2; turn++) {
            leave_chain(at, shared, step + 1);
        }
        const Columns squares = column_products(shared, at.n, at.image, at.image);
        goes_on = false;
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            const wide left = sqrt(squares.of[c]);
            if (threadIdx.x == 0) {
                at.chain_diagonal[c * PROBE_STEPS + step] = along.of[c];
                at.chain_below[c * PROBE_STEPS + step] = left;
            }
            const bool alive = lengths.of[c] > 0.0;
            ends[c] = alive ? u32(step) + 1 : ends[c];
            lengths.of[c] = alive && left > EXHAUSTED * shared.values[0] ? left : 0.0;
            goes_on = goes_on || lengths.of[c] > 0.0;
        }
        divide_columns(at.n, at.image, lengths);
        // Rounding of large eigenvalues would grow again.
        project_out(at, shared, at.image, top);
        copy_block(at.n, at.block, at.image);
    }
    // A thread solves the tridiagonal of one probe, at all its steps or at half of them.
    UNROLL
    for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
        if (c < count && threadIdx.x / 2 == c) {
            const u32 half = threadIdx.x % 2;
            const u32 size = half == 1 ? (ends[c] + 1) / 2 : ends[c];
            find_nodes(at, c, size, weights.of[c], at.nodes + (2 * (first + c) + half) * NODES);
        }
    }
    __syncthreads();
}

/// The line nearest to each function, over all nodes of all probes: from sums of the weights w, of w x, w x^2, and for
/// each function f of w f and w x f.
__device__ NOINLINE Lines fit_lines(const Krylov& at, KrylovShared& shared, const Measure& measure) {
    wide w = 0;
    wide wx = 0;
    wide wxx = 0;
    Functions wf = {};
    Functions wxf = {};
    for (u64 k = threadIdx.x; k < at.probes * PROBE_STEPS; k += blockDim.x) {
        const wide* node = at.nodes + k / PROBE_STEPS * 2 * NODES + k % PROBE_STEPS;
        const wide weight = node[PROBE_STEPS];
        const wide x = node[0] / measure.largest;
        const Functions f = measure.of(node[0]);
        w += weight;
        wx += weight * x;
        wxx += weight * x * x;
        UNROLL
        for (u32 place = 0; place < DEVIATIONS; place++) {
            wf.of[place] += weight * f.of[place];
            wxf.of[place] += weight * x * f.of[place];
        }
    }
    w = sum_threads(shared.warps, w);
    wx = sum_threads(shared.warps, wx);
    wxx = sum_threads(shared.warps, wxx);
    const wide spread = w * wxx - wx * wx;
    Lines lines;
    UNROLL
    for (u32 place = 0; place < DEVIATIONS; place++) {
        const wide f = sum_threads(shared.warps, wf.of[place]);
        const wide xf = sum_threads(shared.warps, wxf.of[place]);
        // Any line will do, so a spectrum without width gets a constant.
        lines.slopes.of[place] = spread > 1e-12 * w * wxx ? (w * xf - wx * f) / spread : 0.0;
        lines.constants.of[place] = (f - lines.slopes.of[place] * wx) / w;
    }
    return lines;
}

/// What each probe, at all its steps and at half of them, says about the sums of what deviates from the lines.
__device__ NOINLINE void find_deviations(const Krylov& at, const Measure& measure, const Lines& lines) {
    for (u64 half = threadIdx.x; half < 2 * at.probes; half += blockDim.x) {
        wide* nodes = at.nodes + half * NODES;
        Functions sums = {};
        for (u32 k = 0; k < PROBE_STEPS; k++) {
            const wide x = nodes[k] / measure.largest;
            const Functions f = measure.of(nodes[k]);
            UNROLL
            for (u32 place = 0; place < DEVIATIONS; place++) {
                const wide line = lines.constants.of[place] + lines.slopes.of[place] * x;
                sums.of[place] += nodes[PROBE_STEPS + k] * (f.of[place] - line);
            }
        }
        UNROLL
        for (u32 place = 0; place < DEVIATIONS; place++) {
            nodes[2 * PROBE_STEPS + place] = sums.of[place];
        }
    }
    __syncthreads();
}

/// The deviations of a probe, or of half of it.
__device__ inline const wide* deviations_of(const Krylov& at, u64 half) {
    return at.nodes + half * NODES + 2 * PROBE_STEPS;
}

/// exp(ln S - L/S), S and L the sums of x and of x ln x. Any thread may call it.
__device__ inline wide rank_of(wide s, wide l) { return exp(log(s) - l / s); }

/// Standard error of the logarithm of `rank_of` the sums s and l, to first order in the deviations: the scatter between
/// probes, and a third of what half as many steps would change, which is what is left where errors fall with the square of
/// their number. Any thread may call it.
__device__ NOINLINE wide error_of(const Krylov& at, const Functions& totals, u32 s, u32 l) {
    const wide count = wide(at.probes);
    const wide slope = (1.0 + totals.of[l] / totals.of[s]) / totals.of[s];
    const auto along = [&](const wide* d) { return d[s] * slope - d[l] / totals.of[s]; };
    wide mean = 0;
    wide coarse = 0;
    for (u64 probe = 0; probe < at.probes; probe++) {
        mean += along(deviations_of(at, 2 * probe)) / count;
        coarse += along(deviations_of(at, 2 * probe + 1)) / count;
    }
    wide squares = 0;
    for (u64 probe = 0; probe < at.probes; probe++) {
        const wide apart = along(deviations_of(at, 2 * probe)) - mean;
        squares += apart * apart;
    }
    const wide change = (coarse - mean) / 3.0;
    return sqrt(squares / (count - 1.0) / count + change * change);
}
