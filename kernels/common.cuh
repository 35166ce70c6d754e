// common — what every kernel starts with: types, sums over the threads of a block, powers of two.
//
// A kernel's file holds `run(args, group)` alone; constants, `real`, `Args` and the entry point are generated from its
// contract. Nothing here needs a header, so that NVRTC alone compiles it. Indices have 64 bits; sums have a fixed shape.

#ifndef ENTRY
#define ENTRY extern "C" __global__
// Small loops over registers, which must not become arrays in memory.
#define UNROLL _Pragma("unroll")
// Large functions that are called from several places, and not often.
#define NOINLINE static __noinline__
#endif

typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef double wide;

constexpr u32 WARP = 32;
constexpr u32 FULL = 0xffffffffu;

__device__ inline wide infinite() { return __longlong_as_double(0x7ff0000000000000ll); }
__device__ inline wide not_a_number() { return __longlong_as_double(0x7ff8000000000000ll); }

/// Not NaN and not infinite.
__device__ inline bool is_finite(wide x) { return fabs(x) < infinite(); }

/// Distance from 1 to the next number of a precision.
template <class T> __device__ constexpr wide epsilon() {
    return sizeof(T) == sizeof(float) ? 1.1920928955078125e-7 : 2.220446049250313e-16;
}

/// 2^-exponent, the exponent as two's complement.
template <class T> __device__ inline T unscale(u32 exponent) { return T(ldexp(T(1), -i32(exponent))); }

/// Sum over the lanes of a warp, in a tree; every lane gets it, and every lane must call it.
template <class T> __device__ inline T sum_warp(T value) {
    for (u32 width = WARP / 2; width > 0; width /= 2) {
        value += __shfl_xor_sync(FULL, value, width);
    }
    return value;
}

/// What of two numbers a search keeps; NaN loses.
struct Least {
    __device__ static wide of(wide a, wide b) { return b < a ? b : a; }
};
struct Largest {
    __device__ static wide of(wide a, wide b) { return b > a ? b : a; }
};

/// Sum over the threads of a block: trees within warps, then warps ascending. Every thread gets it, and every thread
/// must call it. `warps` is shared memory of one number per warp.
__device__ inline wide sum_threads(wide* warps, wide value) {
    value = sum_warp(value);
    __syncthreads();
    if (threadIdx.x % WARP == 0) {
        warps[threadIdx.x / WARP] = value;
    }
    __syncthreads();
    wide sum = warps[0];
    for (u32 warp = 1; warp < blockDim.x / WARP; warp++) {
        sum += warps[warp];
    }
    return sum;
}

/// The least or largest number of a warp's lanes; every lane must call it.
template <class Kept> __device__ inline wide search_warp(wide value) {
    for (u32 width = WARP / 2; width > 0; width /= 2) {
        value = Kept::of(value, __shfl_xor_sync(FULL, value, width));
    }
    return value;
}

/// The least or largest number of a block's threads, in the same shape.
template <class Kept> __device__ inline wide search_threads(wide* warps, wide value) {
    value = search_warp<Kept>(value);
    __syncthreads();
    if (threadIdx.x % WARP == 0) {
        warps[threadIdx.x / WARP] = value;
    }
    __syncthreads();
    wide found = warps[0];
    for (u32 warp = 1; warp < blockDim.x / WARP; warp++) {
        found = Kept::of(found, warps[warp]);
    }
    return found;
}

/// The standard normal distribution function.
__device__ inline wide normal_cdf(wide x) { return 0.5 * erfc(-x * 0.70710678118654752440); }

/// The smallest exponent of the samples for which `alive` holds, 0 if there is none: that of the common scale. Every
/// thread must call it.
template <class Alive>
__device__ inline i32 smallest_exponent(wide* warps, const u32* exponent, u64 n, Alive alive) {
    wide least = infinite();
    for (u64 k = threadIdx.x; k < n; k += blockDim.x) {
        if (alive(k)) {
            least = Least::of(least, wide(i32(exponent[k])));
        }
    }
    least = search_threads<Least>(warps, least);
    return least < infinite() ? i32(least) : 0;
}
