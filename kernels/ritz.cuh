// ritz — leading eigenpairs of a large symmetric matrix, by block Lanczos with full reorthogonalisation, in f64. All
// threads of a block must call its functions.
// import krylov
// import tridiagonal

/// An eigenpair is taken where its residual is at most this share of its eigenvalue: its value is then off by the square
/// of it.
constexpr wide CONVERGED = 1e-4;

/// A new direction counts where more than this share of the longest product is left beside those that are known.
constexpr wide INDEPENDENT = 1e-10;

/// Multiplies a column of the block and takes from it what lies along the known vectors; returns the length of the rest.
__device__ NOINLINE wide project_column(const Krylov& at, KrylovShared& shared, u32 column, u64 known, wide by) {
    wide* own = at.block + column;
    if (threadIdx.x < known) {
        wide sum = 0;
        for (u64 k = 0; k < at.n; k++) {
            sum += at.space[k * at.width + threadIdx.x] * (by * own[k * KRYLOV_BLOCK]);
        }
        shared.pool[threadIdx.x] = sum;
    }
    __syncthreads();
    wide square = 0;
    for (u64 k = threadIdx.x; k < at.n; k += blockDim.x) {
        wide rest = by * own[k * KRYLOV_BLOCK];
        for (u64 other = 0; other < known; other++) {
            rest -= at.space[k * at.width + other] * shared.pool[other];
        }
        own[k * KRYLOV_BLOCK] = rest;
        square += rest * rest;
    }
    return sqrt(sum_threads(shared.warps, square));
}

/// Orthonormalises the first columns of the block against the known vectors, and appends what is left of them, where that
/// is more than rounding beside vectors of this length. Returns how many are known then.
__device__ NOINLINE u64 append_independent(const Krylov& at, KrylovShared& shared, u64 dimensions, u64 count, wide length) {
    u64 known = dimensions;
    for (u32 column = 0; column < count && known < at.width; column++) {
        wide left = project_column(at, shared, column, known, 1.0);
        if (!(left > INDEPENDENT * length)) {
            continue;
        }
        // What was small is rid of the rounding that was left in it when it has length 1.
        for (u32 turn = 0; turn < 2; turn++) {
            left = project_column(at, shared, column, known, 1.0 / left);
        }
        for (u64 k = threadIdx.x; k < at.n; k += blockDim.x) {
            at.space[k * at.width + known] = at.block[k * KRYLOV_BLOCK + column] / left;
        }
        __syncthreads();
        known += 1;
    }
    return known;
}

/// The matrix between the vectors of the space, made symmetric.
__device__ NOINLINE void project(const Krylov& at, u64 dimensions) {
    for (u64 top = 0; top < dimensions; top += KRYLOV_BLOCK) {
        if (threadIdx.x < dimensions) {
            Columns sums = {};
            for (u64 k = 0; k < at.n; k++) {
                const wide image = at.images[k * at.width + threadIdx.x];
                UNROLL
                for (u32 row = 0; row < KRYLOV_BLOCK; row++) {
                    if (top + row < dimensions) {
                        sums.of[row] += at.space[k * at.width + top + row] * image;
                    }
                }
            }
            UNROLL
            for (u32 row = 0; row < KRYLOV_BLOCK; row++) {
                if (top + row < dimensions) {
                    at.small[(top + row) * at.width + threadIdx.x] = sums.of[row];
                }
            }
        }
    }
    __syncthreads();
    if (threadIdx.x < dimensions) {
        for (u64 other = 0; other < threadIdx.x; other++) {
            wide& one = at.small[threadIdx.x * at.width + other];
            wide& two = at.small[other * at.width + threadIdx.x];
            one = two = 0.5 * (one + two);
        }
    }
    __syncthreads();
}

/// Householder's reduction of the projected matrix to a tridiagonal.
__device__ NOINLINE void reduce(const Krylov& at, KrylovShared& shared, u64 dimensions) {
    const u64 lane = threadIdx.x;
    for (u64 k = 0; k + 2 < dimensions; k++) {
        const u64 first = k + 1;
        const bool is_right = lane >= first && lane < dimensions;
        wide own = is_right ? at.small[lane * at.width + k] : 0.0;
        const wide tail = sum_threads(shared.warps, lane > first ? own * own : 0.0);
        const wide head = at.small[first * at.width + k];
        if (!(tail > 0.0)) {
            // Nothing to clear: the entry itself is what stands below.
            if (lane == 0) {
                shared.betas[k] = 0;
                shared.below[k] = head;
            }
            continue;
        }
        // v = x - alpha e_1 with alpha = -sign(x_1) |x|, and beta = v.v / 2 = |x| (|x| + |x_1|).
        const wide norm = sqrt(tail + head * head);
        const wide alpha = head < 0.0 ? norm : -norm;
        const wide beta = norm * (norm + fabs(head));
        own = lane == first ? head - alpha : own;
        const wide* reflector = at.reflectors + k * at.width;
        if (is_right) {
            at.reflectors[k * at.width + lane] = own;
        }
        if (lane == 0) {
            shared.betas[k] = beta;
            shared.below[k] = alpha;
        }
        __syncthreads();
        // A - v w' - w v' with w = p - v (v.p) / (2 beta), p = A v / beta
        wide p = 0;
        if (is_right) {
            for (u64 i = first; i < dimensions; i++) {
                p += at.small[i * at.width + lane] * reflector[i];
            }
            p /= beta;
        }
        const wide half = sum_threads(shared.warps, p * own) / (beta + beta);
        const wide change = p - half * own;
        if (is_right) {
            shared.pool[lane] = change;
        }
        __syncthreads();
        if (is_right) {
            for (u64 i = first; i < dimensions; i++) {
                at.small[i * at.width + lane] -= reflector[i] * change + shared.pool[i] * own;
            }
        }
        __syncthreads();
    }
    __syncthreads();
}

/// Eigenvalues of the reduced matrix, the largest first, and eigenvectors of the projected one as the columns of `small`:
/// a thread follows a row.
__device__ NOINLINE void solve(const Krylov& at, KrylovShared& shared, u64 dimensions) {
    const u64 lane = threadIdx.x;
    Tridiagonal<KRYLOV> t;
    if (lane < dimensions) {
        for (u64 k = 0; k < dimensions; k++) {
            t.diagonal[k] = at.small[k * (at.width + 1)];
            t.row[k] = k == lane ? 1.0 : 0.0;
            if (k + 1 < dimensions) {
                t.below[k] = k + 2 < dimensions ? shared.below[k] : at.small[(k + 1) * at.width + k];
            }
        }
        for (u64 k = 0; k + 2 < dimensions; k++) {
            if (shared.betas[k] > 0.0) {
                const wide* reflector = at.reflectors + k * at.width;
                wide along = 0;
                for (u64 i = k + 1; i < dimensions; i++) {
                    along += t.row[i] * reflector[i];
                }
                along /= shared.betas[k];
                for (u64 i = k + 1; i < dimensions; i++) {
                    t.row[i] -= along * reflector[i];
                }
            }
        }
        solve_tridiagonal(t, u32(dimensions));
        const wide own = t.diagonal[lane];
        u32 place = 0;
        for (u64 k = 0; k < dimensions; k++) {
            place += t.diagonal[k] > own || (t.diagonal[k] == own && k < lane) ? 1 : 0;
        }
        shared.places[lane] = place;
        shared.values[place] = own;
    }
    __syncthreads();
    if (lane < dimensions) {
        for (u64 k = 0; k < dimensions; k++) {
            at.small[lane * at.width + shared.places[k]] = t.row[k];
        }
    }
    __syncthreads();
}

/// Row k of vectors [n, width] times the eigenvectors of the projected matrix.
__device__ NOINLINE void combine_row(const Krylov& at, u64 dimensions, wide* row) {
    wide before[KRYLOV];
    for (u64 other = 0; other < dimensions; other++) {
        before[other] = row[other];
    }
    for (u64 place = 0; place < dimensions; place++) {
        wide sum = 0;
        for (u64 other = 0; other < dimensions; other++) {
            sum += before[other] * at.small[other * at.width + place];
        }
        row[place] = sum;
    }
}

/// Turns the vectors of the space and their images into eigenvectors and theirs, with residuals.
__device__ NOINLINE void combine(const Krylov& at, KrylovShared& shared, u64 dimensions) {
    for (u64 k = threadIdx.x; k < at.n; k += blockDim.x) {
        combine_row(at, dimensions, at.space + k * at.width);
        combine_row(at, dimensions, at.images + k * at.width);
    }
    __syncthreads();
    if (threadIdx.x < dimensions) {
        wide square = 0;
        for (u64 k = 0; k < at.n; k++) {
            const u64 place = k * at.width + threadIdx.x;
            const wide rest = at.images[place] - shared.values[threadIdx.x] * at.space[place];
            square += rest * rest;
        }
        shared.residuals[threadIdx.x] = sqrt(square);
    }
    __syncthreads();
}

/// Searches the Krylov space of a block of random signs; returns its dimensions. The first vectors of the space are then
/// eigenvectors, the largest eigenvalue's first, with their images.
__device__ inline u64 search_space(const Krylov& at, KrylovShared& shared, const u32* control) {
    fill_signs(at, control, 0, KRYLOV_BLOCK);
    wide length = sqrt(wide(at.n));
    u64 dimensions = 0;
    u64 count = KRYLOV_BLOCK;
    while (true) {
        const u64 known = append_independent(at, shared, dimensions, count, length);
        count = known - dimensions;
        if (count == 0) {
            break;
        }
        for (u64 k = threadIdx.x; k < at.n * KRYLOV_BLOCK; k += blockDim.x) {
            const u64 column = k % KRYLOV_BLOCK;
            at.block[k] = column < count ? at.space[k / KRYLOV_BLOCK * at.width + dimensions + column] : 0.0;
        }
        __syncthreads();
        multiply_block(at);
        const Columns squares = column_products(shared, at.n, at.image, at.image);
        wide longest = dimensions == 0 ? 0.0 : length;
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            longest = Largest::of(longest, sqrt(squares.of[c]));
        }
        length = longest;
        for (u64 k = threadIdx.x; k < at.n * KRYLOV_BLOCK; k += blockDim.x) {
            const u64 column = k % KRYLOV_BLOCK;
            if (column < count) {
                at.images[k / KRYLOV_BLOCK * at.width + dimensions + column] = at.image[k];
            }
        }
        copy_block(at.n, at.block, at.image);
        dimensions = known;
    }
    if (dimensions > 0) {
        project(at, dimensions);
        reduce(at, shared, dimensions);
        solve(at, shared, dimensions);
        combine(at, shared, dimensions);
    }
    return dimensions;
}

/// How many eigenpairs, from the largest on, were found well: all, where the whole space was searched.
__device__ inline u64 found_well(const Krylov& at, const KrylovShared& shared, u64 dimensions) {
    if (dimensions == at.n) {
        return dimensions;
    }
    u64 count = 0;
    while (count < dimensions && shared.values[count] > 0.0 && shared.residuals[count] <= CONVERGED * shared.values[count]) {
        count += 1;
    }
    return count;
}
