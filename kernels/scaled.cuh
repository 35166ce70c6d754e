// scaled — cotangents that carry a power of two of their own, so that no loss is too small for them. A warp takes one
// sample, and each of its lanes every 32nd class, which it alone writes and reads again.

/// The logits other than one, relative to the largest of them.
template <class T> struct Competitors {
    /// m2, the largest of them.
    T second;
    /// Q = sum over j != y of exp(z_j - m2).
    wide sum;
    /// m2 - m, with m the largest of all logits: at most 0.
    wide behind;
    /// z_y - m: at most 0.
    wide own;
    /// Sum over all j of exp(z_j - m).
    wide partition;
};

/// What softmax over the logits z is made of, seen from class y. Every lane must call it.
template <class T> __device__ inline Competitors<T> competitors(const T* z, u64 classes, u64 y) {
    wide second = -infinite();
    for (u64 j = threadIdx.x % WARP; j < classes; j += WARP) {
        if (j != y) {
            second = Largest::of(second, wide(z[j]));
        }
    }
    second = search_warp<Largest>(second);
    wide sum = 0;
    for (u64 j = threadIdx.x % WARP; j < classes; j += WARP) {
        if (j != y) {
            sum += wide(exp(z[j] - T(second)));
        }
    }
    sum = sum_warp(sum);
    const wide largest = Largest::of(second, wide(z[y]));
    const wide own = wide(z[y]) - largest;
    const wide behind = second - largest;
    return Competitors<T>{T(second), sum, behind, own, exp(own) + sum * exp(behind)};
}

/// A number as mantissa in [1/2, 1) and power of two.
struct Scaled {
    wide mantissa;
    i32 power;
};

/// x e^log, x > 0.
__device__ inline Scaled scale_to_unit(wide x, wide log) {
    // Far beyond all powers that count, and small enough for an integer.
    const wide whole = Largest::of(-1e6, Least::of(1e6, round(log * 1.44269504088896340736)));
    // ln 2 in two parts, the first so short that its multiples are exact: what remains of `log` keeps its digits.
    const wide rest = (log - whole * 6.931471803691238e-1) - whole * 1.9082149292705877e-10;
    i32 power = 0;
    const wide mantissa = frexp(x * exp(rest), &power);
    return Scaled{mantissa, power + i32(whole)};
}

/// Scales a vector by a power of two so that its largest magnitude lies in [1/2, 1); returns the power. A zero vector
/// keeps 0, as does one that is not finite. Every lane must call it.
template <class T> __device__ inline i32 scale_by(T* vector, u64 len) {
    wide largest = 0;
    for (u64 k = threadIdx.x % WARP; k < len; k += WARP) {
        largest = Largest::of(largest, fabs(wide(vector[k])));
    }
    largest = search_warp<Largest>(largest);
    if (largest == 0.0 || !is_finite(largest)) {
        return 0;
    }
    i32 power = 0;
    frexp(largest, &power);
    for (u64 k = threadIdx.x % WARP; k < len; k += WARP) {
        vector[k] = ldexp(vector[k], -power);
    }
    return -power;
}
