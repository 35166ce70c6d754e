// tridiagonal — eigenvalues of a symmetric tridiagonal with one row of a matrix that its eigenvectors are applied to, by
// implicit QL with Wilkinson's shift, in f64. A thread works alone, on its own copies; threads that start from the same
// tridiagonal find the same eigenvalues in the same order, whichever rows they have.

/// A tridiagonal of at most ROWS rows, and the row.
template <u32 ROWS> struct Tridiagonal {
    wide diagonal[ROWS];
    /// Entry k beside rows k and k + 1.
    wide below[ROWS];
    wide row[ROWS];
};

/// Steps for one eigenvalue at most; two are usual.
constexpr u32 QL_TURNS = 60;

/// What is below the diagonal counts as 0 under this share of its neighbours, or of a hundredth of the largest entry.
constexpr wide QL_NEGLIGIBLE = 1.1e-16;

/// One QL step on rows low..=high, which nothing splits.
template <u32 ROWS> __device__ inline void chase(Tridiagonal<ROWS>& t, u32 low, u32 high) {
    const wide lean = (t.diagonal[low + 1] - t.diagonal[low]) / (2.0 * t.below[low]);
    const wide root = hypot(lean, 1.0);
    wide g = t.diagonal[high] - t.diagonal[low] + t.below[low] / (lean + (lean < 0.0 ? -root : root));
    wide sine = 1;
    wide cosine = 1;
    wide shift = 0;
    for (u32 k = high; k > low; k--) {
        const wide f = sine * t.below[k - 1];
        const wide b = cosine * t.below[k - 1];
        const wide r = hypot(f, g);
        // What is below the last row is 0, whatever the array holds.
        if (k < high) {
            t.below[k] = r;
        }
        if (r == 0.0) {
            t.diagonal[k] -= shift;
            return;
        }
        sine = f / r;
        cosine = g / r;
        g = t.diagonal[k] - shift;
        const wide turn = (t.diagonal[k - 1] - g) * sine + 2.0 * cosine * b;
        shift = sine * turn;
        t.diagonal[k] = g + shift;
        g = cosine * turn - b;
        const wide right = t.row[k];
        t.row[k] = sine * t.row[k - 1] + cosine * right;
        t.row[k - 1] = cosine * t.row[k - 1] - sine * right;
    }
    t.diagonal[low] -= shift;
    t.below[low] = g;
}

/// Turns the diagonal into eigenvalues, in no order, and `row` into its product with their eigenvectors.
template <u32 ROWS> __device__ NOINLINE void solve_tridiagonal(Tridiagonal<ROWS>& t, u32 size) {
    wide largest = 0;
    for (u32 k = 0; k < size; k++) {
        largest = Largest::of(largest, fabs(t.diagonal[k]));
        if (k + 1 < size) {
            largest = Largest::of(largest, fabs(t.below[k]));
        }
    }
    const wide least = QL_NEGLIGIBLE * 1e-2 * largest;
    for (u32 low = 0; low < size; low++) {
        for (u32 turn = 0; turn < QL_TURNS; turn++) {
            u32 high = low;
            while (high + 1 < size) {
                const wide beside = fabs(t.diagonal[high]) + fabs(t.diagonal[high + 1]);
                if (fabs(t.below[high]) <= Largest::of(QL_NEGLIGIBLE * beside, least)) {
                    break;
                }
                high += 1;
            }
            if (high == low) {
                break;
            }
            chase(t, low, high);
        }
    }
}
