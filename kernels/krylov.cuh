// krylov — blocks of eight vectors side by side, [n, 8], under a large symmetric matrix, in f64. Needs KRYLOV_THREADS
// threads, more than there are dimensions to search; all of them must call its functions.
// order: a thread sums along a vector, ascending, or over every 256th row; then over sixteen threads, then over those sums
// import random

/// Where things stand in the room of `lanczos`.
struct Krylov {
    /// The matrix [n, n].
    const wide* form;
    u64 n;
    u64 probes;
    /// Dimensions of the space that is searched at most.
    u64 width;
    /// Orthonormal vectors as columns [n, width], later eigenvectors, the largest eigenvalue's first; and their images.
    wide* space;
    wide* images;
    /// A block [n, 8], and its image.
    wide* block;
    wide* image;
    /// The steps of eight probes [n, steps, 8].
    wide* steps;
    /// The projected matrix [width, width], and in row k the reflector of step k that reduces it.
    wide* small;
    wide* reflectors;
    /// Tridiagonals of eight probes [8, steps]: on the diagonal, and below.
    wide* chain_diagonal;
    wide* chain_below;
    /// Of every probe, at all its steps and at half of them: eigenvalues, weights and deviations.
    wide* nodes;
};

/// Numbers of one entry of `nodes`.
constexpr u32 NODES = 2 * PROBE_STEPS + DEVIATIONS;

constexpr u32 KRYLOV_THREADS = 256;

/// Threads whose numbers are added up together.
constexpr u32 NEIGHBOURS = 16;

/// Shared memory for it.
struct KrylovShared {
    wide warps[WARP];
    /// Products of a block with other vectors, or its sums on their way.
    wide pool[KRYLOV_THREADS * KRYLOV_BLOCK];
    /// Eigenvalues of the projected matrix, the largest first, the residuals of their pairs, and where each went.
    wide values[KRYLOV];
    wide residuals[KRYLOV];
    u32 places[KRYLOV];
    /// Of each reflector half its squared length, and what it leaves below the diagonal.
    wide betas[KRYLOV];
    wide below[KRYLOV];
};

/// One number for each column of a block.
struct Columns {
    wide of[KRYLOV_BLOCK];
};

__device__ inline Krylov lay_out(const wide* form, u64 n, u64 probes, u64 dimensions, wide* room) {
    u64 width = dimensions < KRYLOV ? dimensions : KRYLOV;
    width = n < width ? n : width;
    Krylov at = {form, n, probes, width};
    const auto take = [&](u64 numbers) {
        wide* start = room;
        room += numbers;
        return start;
    };
    at.space = take(n * width);
    at.images = take(n * width);
    at.block = take(n * KRYLOV_BLOCK);
    at.image = take(n * KRYLOV_BLOCK);
    at.steps = take(n * PROBE_STEPS * KRYLOV_BLOCK);
    at.small = take(width * width);
    at.reflectors = take(width * width);
    at.chain_diagonal = take(KRYLOV_BLOCK * PROBE_STEPS);
    at.chain_below = take(KRYLOV_BLOCK * PROBE_STEPS);
    at.nodes = take(2 * NODES * probes);
    return at;
}

/// The sum over all threads of each column's number: of sixteen neighbours, then of those sums.
__device__ NOINLINE Columns sum_columns(KrylovShared& shared, Columns own) {
    constexpr u32 GROUPS = KRYLOV_THREADS / NEIGHBOURS;
    const u32 group = threadIdx.x / KRYLOV_BLOCK;
    const u32 column = threadIdx.x % KRYLOV_BLOCK;
    __syncthreads();
    UNROLL
    for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
        shared.pool[threadIdx.x * KRYLOV_BLOCK + c] = own.of[c];
    }
    __syncthreads();
    wide some = 0;
    for (u32 k = 0; k < NEIGHBOURS && group < GROUPS; k++) {
        some += shared.pool[(group * NEIGHBOURS + k) * KRYLOV_BLOCK + column];
    }
    __syncthreads();
    if (group < GROUPS) {
        shared.pool[threadIdx.x] = some;
    }
    __syncthreads();
    Columns sums = {};
    for (u32 k = 0; k < GROUPS; k++) {
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            sums.of[c] += shared.pool[k * KRYLOV_BLOCK + c];
        }
    }
    __syncthreads();
    return sums;
}

/// Products of the columns of two blocks, each with its like.
__device__ NOINLINE Columns column_products(KrylovShared& shared, u64 n, const wide* one, const wide* other) {
    Columns sums = {};
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            sums.of[c] += one[k * KRYLOV_BLOCK + c] * other[k * KRYLOV_BLOCK + c];
        }
    }
    return sum_columns(shared, sums);
}

/// Divides each column of a block by a length; one of length 0 becomes zero.
__device__ NOINLINE void divide_columns(u64 n, wide* block, const Columns& lengths) {
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            wide& entry = block[k * KRYLOV_BLOCK + c];
            entry = lengths.of[c] > 0.0 ? entry / lengths.of[c] : 0.0;
        }
    }
    __syncthreads();
}

/// The image of the block under the matrix, which is symmetric: so threads read along its rows.
__device__ NOINLINE void multiply_block(const Krylov& at) {
    for (u64 i = threadIdx.x; i < at.n; i += blockDim.x) {
        Columns sums = {};
        for (u64 j = 0; j < at.n; j++) {
            const wide entry = at.form[j * at.n + i];
            UNROLL
            for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
                sums.of[c] += entry * at.block[j * KRYLOV_BLOCK + c];
            }
        }
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            at.image[i * KRYLOV_BLOCK + c] = sums.of[c];
        }
    }
    __syncthreads();
}

__device__ NOINLINE void copy_block(u64 n, wide* to, const wide* from) {
    for (u64 k = threadIdx.x; k < n * KRYLOV_BLOCK; k += blockDim.x) {
        to[k] = from[k];
    }
    __syncthreads();
}

/// Takes from a block what lies along the first `count` vectors of the space, which are orthonormal.
__device__ NOINLINE void project_out(const Krylov& at, KrylovShared& shared, wide* block, u64 count) {
    if (threadIdx.x < count) {
        Columns sums = {};
        for (u64 k = 0; k < at.n; k++) {
            const wide entry = at.space[k * at.width + threadIdx.x];
            UNROLL
            for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
                sums.of[c] += entry * block[k * KRYLOV_BLOCK + c];
            }
        }
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            shared.pool[threadIdx.x * KRYLOV_BLOCK + c] = sums.of[c];
        }
    }
    __syncthreads();
    for (u64 k = threadIdx.x; k < at.n; k += blockDim.x) {
        Columns rest = {};
        for (u64 other = 0; other < count; other++) {
            const wide entry = at.space[k * at.width + other];
            UNROLL
            for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
                rest.of[c] += entry * shared.pool[other * KRYLOV_BLOCK + c];
            }
        }
        UNROLL
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            block[k * KRYLOV_BLOCK + c] -= rest.of[c];
        }
    }
    __syncthreads();
}

/// Fills the first `count` columns of the block with random signs, the others with zeros.
///
/// Sign k of vector `sub` is bit k % 64 of word `step * ceil(n / 64) + k / 64` of stream (seed, Probe), sub-stream `sub`.
__device__ NOINLINE void fill_signs(const Krylov& at, const u32* control, u64 sub, u64 count) {
    const u64 start = control[CONTROL_STEP] * ((at.n + 63) / 64);
    for (u64 k = threadIdx.x; k < at.n; k += blockDim.x) {
        const u64 index = start + k / 64;
        const u32 half = u32(2 * (index % 2) + k % 64 / 32);
        for (u32 c = 0; c < KRYLOV_BLOCK; c++) {
            wide sign = 0;
            if (c < count) {
                const Words words = stream_of(control, PURPOSE_PROBE, u32(sub + c)).block(index / 2);
                // Told apart rather than looked up, so that the words stay in registers.
                const u32 word = half == 0 ? words.word[0] : half == 1 ? words.word[1] : half == 2 ? words.word[2] : words.word[3];
                sign = (word >> (k % 32) & 1) != 0 ? 1.0 : -1.0;
            }
            at.block[k * KRYLOV_BLOCK + c] = sign;
        }
    }
    __syncthreads();
}
