// tridiagonal — eigenvalues of a symmetric tridiagonal in f32 with one row of a matrix that its eigenvectors are applied
// to, by implicit QL with Wilkinson's shift. A thread works alone, on its own copies; threads that start from the same
// tridiagonal find the same eigenvalues in the same order, whichever rows they have. Needs `ROWS`, the most rows.

/// Diagonal, what is below it (entry k beside rows k and k + 1), and the row.
var<private> diagonal: array<f32, ROWS>;
var<private> below: array<f32, ROWS>;
var<private> row: array<f32, ROWS>;

/// Steps for one eigenvalue at most; two are usual.
const TURNS = 40u;

/// What is below the diagonal counts as 0 under this share of its neighbours, or of a hundredth of the largest entry.
const NEGLIGIBLE = 6e-8;

/// Turns the diagonal into eigenvalues, in no order, and `row` into its product with their eigenvectors.
fn solve_tridiagonal(size: u32) {
    var largest = 0.0;
    for (var k = 0u; k < size; k += 1u) {
        largest = max(largest, abs(diagonal[k]));
        if k + 1u < size {
            largest = max(largest, abs(below[k]));
        }
    }
    let floor = NEGLIGIBLE * 1e-2 * largest;
    for (var low = 0u; low < size; low += 1u) {
        for (var turn = 0u; turn < TURNS; turn += 1u) {
            var high = low;
            while high + 1u < size {
                let beside = abs(diagonal[high]) + abs(diagonal[high + 1u]);
                if abs(below[high]) <= max(NEGLIGIBLE * beside, floor) {
                    break;
                }
                high += 1u;
            }
            if high == low {
                break;
            }
            chase(low, high);
        }
    }
}

/// One QL step on rows low..=high, which nothing splits.
fn chase(low: u32, high: u32) {
    let lean = (diagonal[low + 1u] - diagonal[low]) / (2.0 * below[low]);
    let root = length_of(lean, 1.0);
    var g = diagonal[high] - diagonal[low] + below[low] / (lean + select(root, -root, lean < 0.0));
    var sine = 1.0;
    var cosine = 1.0;
    var shift = 0.0;
    for (var k = high; k > low; k -= 1u) {
        let f = sine * below[k - 1u];
        let b = cosine * below[k - 1u];
        let r = length_of(f, g);
        // What is below the last row is 0, whatever the array holds.
        if k < high {
            below[k] = r;
        }
        if r == 0.0 {
            diagonal[k] -= shift;
            return;
        }
        sine = f / r;
        cosine = g / r;
        g = diagonal[k] - shift;
        let t = (diagonal[k - 1u] - g) * sine + 2.0 * cosine * b;
        shift = sine * t;
        diagonal[k] = g + shift;
        g = cosine * t - b;
        let right = row[k];
        row[k] = sine * row[k - 1u] + cosine * right;
        row[k - 1u] = cosine * row[k - 1u] - sine * right;
    }
    diagonal[low] -= shift;
    below[low] = g;
}

/// sqrt(x^2 + y^2) without leaving the range.
fn length_of(x: f32, y: f32) -> f32 {
    let large = max(abs(x), abs(y));
    if large == 0.0 {
        return 0.0;
    }
    let share = min(abs(x), abs(y)) / large;
    return large * sqrt(1.0 + share * share);
}
