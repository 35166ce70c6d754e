// stream — averages over a window of steps of what minibatches say about the population, with standard errors.
//
// in 0 sketch [N, 2, 64]   in 1 norm [N]   in 2 exponent [N]   in 3 square [1], |mean g|^2   inout 4 state [16, 8]
// out 5 columns [11], see `stats::stream`: those of the window that ended, null at other steps
// params n, window   control: step
// order: every 256th sample ascending, then over the threads; products of sketches with samples ascending, 4 x 4 in one
// thread; in f64; one block a run
//
// Of each step, normalised by its mean squared norm S/n, are taken, over pairs i != j of its samples: the mean of
// K_ii K_jj, the mean of K_ij^2 (from two independent sketches, <s_i, s_j><s'_i, s'_j>), and the mean of K_ij, which is
// coherence_unbiased, with 1 less it, the noise. A window's ratios are of averages over its steps; their errors are by
// the jackknife over sixteen batches of neighbouring steps.
// What of a step is summed: 1, mean of K_ii K_jj, mean of K_ij^2, mean of K_ij, noise, the same mean of K_ij in the
// gradients' own units, effective rank of the sketch; the last place is free.
// import tile
// import eigenvalues

/// Numbers of one sketch of one sample.
constexpr u32 AREA = SKETCH_SIDE * SKETCH_SIDE;

constexpr u32 COLUMNS = 11;
constexpr u32 RATIOS = 4;

static_assert(AREA == u32(SIDE) && u32(THREADS) == u32(TILE_THREADS), "products of sketches are one tile");

/// The samples of a step, on the common scale.
struct Batch {
    const real* sketch;
    const wide* norm;
    const u32* exponent;
    i32 smallest;

    __device__ wide scale(u64 sample) const {
        return norm[sample] > 0.0 ? ldexp(1.0, smallest - i32(exponent[sample])) : 0.0;
    }
    __device__ const real* row(u64 sample, u32 copy) const { return sketch + (2 * sample + copy) * AREA; }
};

/// A thread's part of x' y [64, 64], x the first sketches of all samples, y their first or second.
__device__ void products(wide (&sums)[PART][PART], const Batch& batch, u64 n, u32 copy) {
    UNROLL
    for (u32 k = 0; k < PART * PART; k++) {
        sums[k / PART][k % PART] = 0;
    }
    for (u64 sample = 0; sample < n; sample++) {
        const wide scale = batch.scale(sample);
        if (scale == 0.0) {
            continue;
        }
        const real* x = batch.row(sample, 0) + part_row();
        const real* y = batch.row(sample, copy) + part_column();
        UNROLL
        for (u32 k = 0; k < PART * PART; k++) {
            sums[k / PART][k % PART] += (wide(x[k / PART]) * scale) * (wide(y[k % PART]) * scale);
        }
    }
}

/// exp(-sum q ln q) with q = x / sum x, x the roots of the eigenvalues of a matrix [side, side] that is used up.
__device__ wide root_rank(wide* warps, wide* matrix, u64 side, wide* values) {
    wide trace = 0;
    for (u64 k = threadIdx.x; k < side; k += THREADS) {
        trace += matrix[k * (side + 1)];
    }
    trace = sum_threads(warps, trace);
    eigenvalues_of(warps, matrix, side, values);
    // Below this, a number is rounding: it counts as 0, since its root would not be small.
    const wide rounding = 4.0 * wide(side) * epsilon<wide>() * trace;
    const wide root = threadIdx.x < side && values[threadIdx.x] > rounding ? sqrt(values[threadIdx.x]) : 0.0;
    const wide roots = sum_threads(warps, root);
    const wide q = root / roots;
    return exp(sum_threads(warps, q > 0.0 ? -q * log(q) : 0.0));
}

/// A quotient by what is not above zero says nothing.
__device__ wide over(wide x, wide y) { return y > 0.0 ? x / y : not_a_number(); }

/// Participation ratio, coherence, noise scale and mean product.
struct Ratios {
    wide of[RATIOS];
};

/// Those of sums over steps, less those of one batch.
__device__ Ratios ratios(const wide* all, const wide* less) {
    wide sums[STREAM_WIDTH];
    UNROLL
    for (u32 k = 0; k < STREAM_WIDTH; k++) {
        sums[k] = less ? all[k] - less[k] : all[k];
    }
    return Ratios{{over(sums[1], sums[2]), over(sums[3], sums[0]), over(sums[4], sums[3]), over(sums[5], sums[0])}};
}

/// Writes the columns of the window whose sums stand in the state.
__device__ void report(const wide* state, wide* columns) {
    wide all[STREAM_WIDTH] = {};
    wide count = 0;
    for (u32 batch = 0; batch < STREAM_BATCHES; batch++) {
        const wide* sums = state + batch * STREAM_WIDTH;
        if (sums[0] > 0.0) {
            count += 1.0;
            UNROLL
            for (u32 k = 0; k < STREAM_WIDTH; k++) {
                all[k] += sums[k];
            }
        }
    }
    wide means[RATIOS] = {};
    wide squares[RATIOS] = {};
    for (u32 turn = 0; turn < 2; turn++) {
        for (u32 batch = 0; batch < STREAM_BATCHES; batch++) {
            const wide* sums = state + batch * STREAM_WIDTH;
            if (!(sums[0] > 0.0)) {
                continue;
            }
            const Ratios without = ratios(all, sums);
            UNROLL
            for (u32 k = 0; k < RATIOS; k++) {
                const wide apart = without.of[k] - means[k];
                if (turn == 0) {
                    means[k] += without.of[k] / count;
                } else {
                    squares[k] += apart * apart;
                }
            }
        }
    }
    const Ratios found = ratios(all, nullptr);
    columns[0] = all[0];
    UNROLL
    for (u32 k = 0; k < RATIOS; k++) {
        columns[1 + 2 * k] = found.of[k];
        columns[2 + 2 * k] = count > 1.0 ? sqrt((count - 1.0) / count * squares[k]) : not_a_number();
    }
    columns[9] = all[6] / all[0];
    columns[10] = AREA;
}

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    __shared__ wide matrix[AREA * AREA];
    __shared__ wide values[AREA];
    const u64 n = args.n;
    const u64 step = args.control[CONTROL_STEP];
    if (threadIdx.x == 0) {
        for (u32 k = 0; k < COLUMNS; k++) {
            args.columns[k] = not_a_number();
        }
        if (step % args.window == 0) {
            if (step > 0) {
                report(args.state, args.columns);
            }
            for (u32 k = 0; k < STREAM_BATCHES * STREAM_WIDTH; k++) {
                args.state[k] = 0;
            }
        }
    }
    const auto alive = [&](u64 k) { return args.norm[k] > 0.0; };
    const i32 smallest = smallest_exponent(warps, args.exponent, n, alive);
    const Batch batch = {args.sketch, args.norm, args.exponent, smallest};
    wide trace = 0;
    wide squares = 0;
    wide sum = 0;
    wide same = 0;
    for (u64 k = threadIdx.x; k < n; k += THREADS) {
        const wide scale = batch.scale(k);
        const wide own = args.norm[k] * scale * scale;
        trace += own;
        squares += own * own;
        const wide length = sqrt(args.norm[k]) * unscale<wide>(args.exponent[k]);
        sum += length * length;
        wide lengths[2] = {};
        UNROLL
        for (u32 copy = 0; copy < 2; copy++) {
            for (u32 c = 0; c < AREA && scale > 0.0; c++) {
                const wide x = wide(batch.row(k, copy)[c]) * scale;
                lengths[copy] += x * x;
            }
        }
        same += lengths[0] * lengths[1];
    }
    trace = sum_threads(warps, trace);
    squares = sum_threads(warps, squares);
    sum = sum_threads(warps, sum);
    same = sum_threads(warps, same);
    if (!(trace > 0.0)) {
        return;
    }
    // Sum over i, j of <s_i, s_j><s'_i, s'_j> = |S' S|_F^2 without a matrix over pairs.
    wide part[PART][PART];
    products(part, batch, n, 1);
    wide all = 0;
    UNROLL
    for (u32 k = 0; k < PART * PART; k++) {
        all += part[k / PART][k % PART] * part[k / PART][k % PART];
    }
    all = sum_threads(warps, all);
    // Eigenvalues other than 0 are those of the smaller of two matrices.
    const u64 side = n < AREA ? n : AREA;
    if (n < AREA) {
        for (u64 k = threadIdx.x; k < n * n; k += THREADS) {
            const wide scales = batch.scale(k / n) * batch.scale(k % n);
            wide product = 0;
            for (u32 c = 0; c < AREA && scales > 0.0; c++) {
                product += wide(batch.row(k / n, 0)[c]) * wide(batch.row(k % n, 0)[c]);
            }
            matrix[k] = product * scales;
        }
    } else {
        products(part, batch, n, 0);
        UNROLL
        for (u32 k = 0; k < PART * PART; k++) {
            matrix[(part_row() + k / PART) * AREA + part_column() + k % PART] = part[k / PART][k % PART];
        }
    }
    __syncthreads();
    const wide rank = root_rank(warps, matrix, side, values);
    if (threadIdx.x != 0) {
        return;
    }
    const wide count = wide(n);
    const wide pairs = count * (count - 1.0);
    const wide unit = count / trace;
    const wide total = args.square[0] * count * count;
    wide* sums = args.state + step % args.window * STREAM_BATCHES / args.window * STREAM_WIDTH;
    sums[0] += 1.0;
    sums[1] += (trace * trace - squares) / pairs * unit * unit;
    sums[2] += (all - same) / pairs * unit * unit;
    sums[3] += (total / sum - 1.0) / (count - 1.0);
    sums[4] += (count - total / sum) / (count - 1.0);
    sums[5] += (total - sum) / pairs;
    sums[6] += rank;
}
