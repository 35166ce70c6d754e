// eigenvalues — those of a symmetric matrix, by all threads of a block, in f64 and in place.
// order: Householder's reduction to a tridiagonal, where a thread makes every THREADS-th column, sums over rows ascending,
// others over the threads; then bisection by Sturm's count, an eigenvalue a thread

/// Halvings of the interval that holds all eigenvalues: each gives a bit.
constexpr u32 HALVINGS = 56;

/// What stands for a pivot of zero, the matrix being scaled: its inverse is no infinity yet.
constexpr wide SMALLEST_PIVOT = 1e-290;

/// Scales the matrix by a power of two, so that its largest entry lies in [1/2, 1). False if it is not finite.
__device__ inline bool scale_matrix(wide* warps, wide* matrix, u64 n, i32& power) {
    wide largest = 0;
    bool broken = false;
    for (u64 k = threadIdx.x; k < n * n; k += blockDim.x) {
        largest = Largest::of(largest, fabs(matrix[k]));
        broken = broken || !is_finite(matrix[k]);
    }
    largest = search_threads<Largest>(warps, largest);
    if (__syncthreads_or(broken)) {
        return false;
    }
    power = 0;
    if (largest > 0.0) {
        frexp(largest, &power);
        for (u64 k = threadIdx.x; k < n * n; k += blockDim.x) {
            matrix[k] = ldexp(matrix[k], -power);
        }
    }
    __syncthreads();
    return true;
}

/// One step of the reduction: clears row and column k beyond their second entry, and applies the reflector
/// I - v v' / beta to what is right of it. v stands in row k meanwhile, and `change` [n] is used up.
__device__ inline void reflect(wide* warps, wide* matrix, u64 n, u64 k, wide* change) {
    const u64 first = k + 1;
    wide* v = matrix + k * n;
    const wide head = v[first];
    wide square = 0;
    for (u64 j = first + 1 + threadIdx.x; j < n; j += blockDim.x) {
        square += v[j] * v[j];
    }
    square = sum_threads(warps, square);
    if (square == 0.0) {
        return;
    }
    // v = x - alpha e_1 with alpha = -sign(x_1) |x|, and beta = v.v / 2 = |x| (|x| + |x_1|).
    const wide length = sqrt(square + head * head);
    const wide alpha = head < 0.0 ? length : -length;
    const wide beta = length * (length + fabs(head));
    if (threadIdx.x == 0) {
        v[first] = head - alpha;
    }
    __syncthreads();
    // p = A v / beta, and v.p
    wide along = 0;
    for (u64 j = first + threadIdx.x; j < n; j += blockDim.x) {
        wide sum = 0;
        for (u64 i = first; i < n; i++) {
            sum += matrix[i * n + j] * v[i];
        }
        change[j] = sum / beta;
        along += change[j] * v[j];
    }
    const wide half = sum_threads(warps, along) / (beta + beta);
    // w = p - v (v.p) / (2 beta)
    for (u64 j = first + threadIdx.x; j < n; j += blockDim.x) {
        change[j] -= half * v[j];
    }
    __syncthreads();
    for (u64 j = first + threadIdx.x; j < n; j += blockDim.x) {
        const wide v_j = v[j];
        const wide w_j = change[j];
        for (u64 i = first; i < n; i++) {
            matrix[i * n + j] -= v[i] * w_j + change[i] * v_j;
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        v[first] = alpha;
    }
    __syncthreads();
}

/// Eigenvalues below x: negative pivots of the tridiagonal less x (Sturm).
__device__ inline u64 count_below(const wide* diagonal, const wide* beside, u64 n, wide x) {
    u64 count = 0;
    wide pivot = 1;
    for (u64 k = 0; k < n; k++) {
        const wide off = k > 0 ? beside[k] : 0.0;
        pivot = diagonal[k] - x - off * off / pivot;
        if (fabs(pivot) < SMALLEST_PIVOT) {
            pivot = -SMALLEST_PIVOT;
        }
        count += pivot < 0.0 ? 1 : 0;
    }
    return count;
}

/// found [n] = eigenvalues of a symmetric matrix [n, n], ascending, NaN if it is not finite; n at least 1. The matrix is
/// used up. Every thread must call it.
__device__ inline void eigenvalues_of(wide* warps, wide* matrix, u64 n, wide* found) {
    i32 power = 0;
    if (!scale_matrix(warps, matrix, n, power)) {
        for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
            found[k] = not_a_number();
        }
        return;
    }
    for (u64 k = 0; k + 2 < n; k++) {
        reflect(warps, matrix, n, k, found);
    }
    // The tridiagonal, brought to the first two rows: what is left of row k to place k of the first, where that of row 1
    // is already, the diagonal to the second.
    wide* beside = matrix;
    wide* diagonal = n > 1 ? matrix + n : matrix;
    for (u64 k = 1 + threadIdx.x; k < n; k += blockDim.x) {
        beside[k] = matrix[(k - 1) * n + k];
    }
    __syncthreads();
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        diagonal[k] = matrix[k * (n + 1)];
    }
    __syncthreads();
    // Every eigenvalue lies within Gershgorin's circles.
    wide reach = 0;
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        const wide left = k > 0 ? fabs(beside[k]) : 0.0;
        const wide right = k + 1 < n ? fabs(beside[k + 1]) : 0.0;
        reach = Largest::of(reach, fabs(diagonal[k]) + left + right);
    }
    reach = search_threads<Largest>(warps, reach);
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        wide low = -reach;
        wide high = reach;
        for (u32 halving = 0; halving < HALVINGS; halving++) {
            const wide middle = 0.5 * (low + high);
            if (count_below(diagonal, beside, n, middle) > k) {
                high = middle;
            } else {
                low = middle;
            }
        }
        found[k] = ldexp(0.5 * (low + high), power);
    }
    __syncthreads();
}
