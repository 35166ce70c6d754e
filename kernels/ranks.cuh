// ranks — ranks and nulls of one form of a Gram matrix, by all threads of a block, in f64.
//
// The null beside every rank is that of the same norms with random directions. In P dimensions they have K_ii = d_i and
// independent K_ij of mean 0 and variance d_i d_j / P, so to second order in K_ij (Daleckii & Krein) a sum over
// eigenvalues is `sum f(d_i) + 1/2 sum_{i != j} f'[d_i, d_j] d_i d_j / P`, with the divided difference of f'. Centred, the
// d_i give way to the eigenvalues of `H diag(d) H`: the roots of `sum 1/(d_i - x)`, one between each two neighbours among
// the sorted d. Where P is below 16 n that is too coarse, and where n exceeds the levels that a block can keep, the
// centred ones are out of reach: there the result is null.

/// Centred levels that a block keeps at most.
constexpr u32 LEVELS = 4096;

/// Levels whose roots and logarithms are at hand at a time.
constexpr u32 CHUNK = 256;

/// Largest relative error that centring may add.
constexpr wide CENTRING_ERROR = 1.2e-5;

/// Whether a matrix of this precision has digits left after centring; not where nothing is left, which is NaN.
__device__ inline bool centring_holds(wide condition, wide eps) { return condition * eps <= CENTRING_ERROR; }

/// Shared memory for nulls.
struct NullRoom {
    wide levels[LEVELS];
    wide chunk[3][CHUNK];
};

/// What ranks are made of.
struct Form {
    /// Trace, squared Frobenius norm, sum of squared diagonal entries, samples.
    const wide* head;
    /// [n], ascending; none where they were not solved.
    const wide* eigenvalues;
    u64 n;
    /// Dimensions of the vectors.
    u64 parameters;
    /// Of the precision in which the matrix was formed.
    wide eps;
};

/// The null's two ranks: on singular values and on eigenvalues.
struct Nulls {
    wide sigma;
    wide lambda;
};

/// Participation ratio of the population from which the samples are a draw.
__device__ inline wide population_ratio(const wide* head, bool centred) {
    const wide n = head[SAMPLES];
    if (!centred) {
        return (head[TRACE] * head[TRACE] - head[DIAGONAL2]) / (head[FROBENIUS2] - head[DIAGONAL2]);
    }
    // Unbiased estimates of (tr S)^2 and tr S^2, S the (n - 1)-normalised covariance. Below four samples both vanish
    // identically, and only their rounding errors would be divided.
    if (n < 4.0) {
        return not_a_number();
    }
    const wide m = n - 1.0;
    const wide trace = head[TRACE] / m;
    const wide square = head[FROBENIUS2] / (m * m);
    const wide fourth = head[DIAGONAL2] / m;
    const wide numerator = 2.0 * square + (n * n - 3.0 * n + 1.0) * trace * trace - n * fourth;
    return numerator / (m * (n - 2.0) * square + trace * trace - n * fourth);
}

/// -q ln q, 0 at 0.
__device__ inline wide surprise(wide q) { return q > 0.0 ? -q * log(q) : 0.0; }

/// Writes the columns from `erank_sigma` to `null_erank_lambda`. Every thread must call it.
__device__ inline void write_ranks(wide* warps, const Form& form, bool centred, Nulls nulls, wide* out) {
    wide sigma = not_a_number();
    wide lambda = not_a_number();
    wide largest = form.eigenvalues ? form.eigenvalues[form.n - 1] : not_a_number();
    wide kept = not_a_number();
    wide negative = not_a_number();
    if (largest > 0.0) {
        const wide threshold = 4.0 * wide(form.n) * form.eps * largest;
        wide roots = 0;
        wide values = 0;
        kept = 0;
        negative = 0;
        for (u64 k = threadIdx.x; k < form.n; k += blockDim.x) {
            const wide value = form.eigenvalues[k];
            negative += value < 0.0 ? 1.0 : 0.0;
            if (value >= threshold) {
                kept += 1.0;
                roots += sqrt(value);
                values += value;
            }
        }
        kept = sum_threads(warps, kept);
        negative = sum_threads(warps, negative);
        roots = sum_threads(warps, roots);
        values = sum_threads(warps, values);
        sigma = 0;
        lambda = 0;
        for (u64 k = threadIdx.x; k < form.n; k += blockDim.x) {
            const wide value = form.eigenvalues[k];
            if (value >= threshold) {
                sigma += surprise(sqrt(value) / roots);
                lambda += surprise(value / values);
            }
        }
        sigma = exp(sum_threads(warps, sigma));
        lambda = exp(sum_threads(warps, lambda));
    } else {
        largest = not_a_number();
    }
    if (threadIdx.x != 0) {
        return;
    }
    const wide trace = form.head[TRACE];
    out[0] = sigma;
    out[1] = lambda;
    out[2] = trace * trace / form.head[FROBENIUS2];
    out[3] = population_ratio(form.head, centred);
    out[4] = trace / largest;
    out[5] = kept;
    out[6] = negative;
    out[7] = nulls.sigma;
    out[8] = nulls.lambda;
}

/// A level with its square root and logarithm.
struct Level {
    wide value;
    wide root;
    wide log;
};

/// What one pair of levels adds to the sums of roots, of roots times half their levels' logarithms, and of levels times
/// logarithms, times P. Each stands for (j, i) too.
struct Added {
    wide root;
    wide root_log;
    wide log;
};

__device__ inline Added pair(const Level& x, const Level& y) {
    const wide product = x.value * y.value;
    // Divided differences of neighbours that almost agree are derivatives at their middle; the mean of the two
    // logarithms is that of the middle to 5e-9.
    const wide gap = x.value - y.value;
    const wide middle = 0.5 * (x.value + y.value);
    const bool near = fabs(gap) < 2e-4 * middle;
    const wide root_log = near ? -(x.log + y.log) / (16.0 * middle * sqrt(middle))
                               : ((x.log + 2.0) / x.root - (y.log + 2.0) / y.root) / (4.0 * gap);
    const wide log = near ? 1.0 / middle : (x.log - y.log) / gap;
    return Added{-product / (2.0 * x.root * y.root * (x.root + y.root)), product * root_log, product * log};
}

/// The root of `sum 1/(d_i - x)` between a level and the next larger one; 0 for the largest.
///
/// Each side of the sum is replaced by a constant and one pole at the end of the interval, with the same value and slope
/// at x (the "middle way" of the secular equation, Li 1993, LAPACK working note 89); halving where that leaves the
/// bracket.
__device__ inline wide centred_level(const wide* d, u64 n, wide scale, u64 own) {
    const wide first = d[own] * scale;
    wide last = infinite();
    for (u64 i = 0; i < n; i++) {
        const wide other = d[i] * scale;
        if (other > first || (other == first && i > own)) {
            last = Least::of(last, other);
        }
    }
    if (!is_finite(last)) {
        return 0.0;
    }
    wide low = first;
    wide high = last;
    wide x = 0.5 * (low + high);
    // Ten digits of the gap are more than the second order is worth.
    const wide tolerance = 1e-10 * (last - first);
    for (u32 turn = 0; turn < 60 && x > low && x < high; turn++) {
        // Value and slope of the poles below x, and of those above.
        wide psi = 0;
        wide psi_slope = 0;
        wide phi = 0;
        wide phi_slope = 0;
        for (u64 i = 0; i < n; i++) {
            const wide pole = d[i] * scale;
            const wide inverse = 1.0 / (pole - x);
            if (pole <= first) {
                psi += inverse;
                psi_slope += inverse * inverse;
            } else {
                phi += inverse;
                phi_slope += inverse * inverse;
            }
        }
        if (psi + phi < 0.0) {
            low = x;
        } else {
            high = x;
        }
        const wide below = first - x;
        const wide over = last - x;
        const wide p = psi_slope * below * below;
        const wide q = phi_slope * over * over;
        const wide c = psi - psi_slope * below + phi - phi_slope * over;
        // c + p/(first - z) + q/(last - z) = 0 in z = x + step: c step^2 - linear step + constant = 0.
        const wide linear = c * (below + over) + p + q;
        const wide constant = c * below * over + p * over + q * below;
        const wide root = sqrt(Largest::of(0.0, linear * linear - 4.0 * c * constant));
        const wide step = linear >= 0.0 ? 2.0 * constant / (linear + root) : (linear - root) / (2.0 * c);
        const wide near = x + step;
        const wide next = near > low && near < high ? near : 0.5 * (low + high);
        const bool done = fabs(next - x) <= tolerance;
        x = next;
        if (done) {
            return x;
        }
    }
    return x > low && x < high ? x : 0.5 * (low + high);
}

/// Expected erank on singular values and on eigenvalues of gradients with squared norms `d` and random directions; with
/// `centred`, after their mean is taken away. Every thread must call it.
__device__ inline Nulls null_ranks(wide* warps, NullRoom& room, const wide* d, u64 n, u64 parameters, bool centred) {
    const Nulls none = {not_a_number(), not_a_number()};
    if (parameters < 16 * n || (centred && n > LEVELS)) {
        return none;
    }
    wide sum = 0;
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        sum += d[k];
    }
    const wide mean = sum_threads(warps, sum) / wide(n);
    if (!(mean > 0.0)) {
        return none;
    }
    // Levels have mean 1.
    const wide scale = 1.0 / mean;
    if (centred) {
        for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
            room.levels[k] = centred_level(d, n, scale, k);
        }
        __syncthreads();
    }
    const auto level_at = [&](u64 k) {
        const wide value = centred ? room.levels[k] : d[k] * scale;
        return value > 0.0 ? Level{value, sqrt(value), log(value)} : Level{0.0, 0.0, 0.0};
    };
    wide values = 0;
    wide roots = 0;
    wide root_logs = 0;
    wide logs = 0;
    const wide share = 1.0 / wide(parameters);
    for (u64 start = 0; start < n; start += CHUNK) {
        __syncthreads();
        for (u64 k = threadIdx.x; k < CHUNK && start + k < n; k += blockDim.x) {
            const Level level = level_at(start + k);
            room.chunk[0][k] = level.value;
            room.chunk[1][k] = level.root;
            room.chunk[2][k] = level.log;
        }
        __syncthreads();
        for (u64 i = start + threadIdx.x; i < n; i += blockDim.x) {
            const Level own = level_at(i);
            if (own.value == 0.0) {
                continue;
            }
            if (i < start + CHUNK) {
                values += own.value;
                roots += own.root;
                root_logs += 0.5 * own.root * own.log;
                logs += own.value * own.log;
            }
            for (u64 j = 0; j < CHUNK && start + j < i; j++) {
                const Level other = {room.chunk[0][j], room.chunk[1][j], room.chunk[2][j]};
                if (other.value > 0.0) {
                    const Added added = pair(own, other);
                    roots += share * added.root;
                    root_logs += share * added.root_log;
                    logs += share * added.log;
                }
            }
        }
    }
    values = sum_threads(warps, values);
    roots = sum_threads(warps, roots);
    root_logs = sum_threads(warps, root_logs);
    logs = sum_threads(warps, logs);
    if (!(values > 0.0)) {
        return none;
    }
    return Nulls{exp(log(roots) - root_logs / roots), exp(log(values) - logs / values)};
}

/// What `null_ranks` says of `count` equal norms after centring, in closed form: it leaves count - 1 equal levels, whose
/// pairs all add the same.
__device__ inline Nulls null_of_units(wide count, u64 parameters) {
    const wide levels = count - 1.0;
    const wide dimensions = wide(parameters);
    if (dimensions < 16.0 * count || !(levels > 0.0)) {
        return Nulls{not_a_number(), not_a_number()};
    }
    return Nulls{levels * (1.0 - (levels - 1.0) / (8.0 * dimensions)), levels * exp(-(levels - 1.0) / (2.0 * dimensions))};
}
