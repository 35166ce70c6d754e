// What a kernel's file needs to be compiled for the host: CUDA's words, and the table through which host.cpp runs it.
//
// Kept free of heavy headers, since it is compiled once for every kernel.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define ENTRY static
#define UNROLL
#define NOINLINE static __attribute__((noinline))
#define __device__
#define __shared__ static __attribute__((section("gmatrix_shared")))
#define __launch_bounds__(threads)

struct Index3 {
    unsigned x, y, z;
};

extern Index3 threadIdx, blockIdx, blockDim, gridDim;

using std::erfc;
using std::exp;
using std::expm1;
using std::fabs;
using std::fma;
using std::frexp;
using std::hypot;
using std::ldexp;
using std::log;
using std::log1p;
using std::round;
using std::sqrt;

inline double cospi(double x) { return std::cos(3.14159265358979323846 * x); }
inline double sinpi(double x) { return std::sin(3.14159265358979323846 * x); }

inline double __longlong_as_double(long long bits) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

namespace cuda_host {

constexpr unsigned LANES = 32;

enum class Operation { Shuffle, Vote, Sync };

/// Waits until all threads of the block that have not finished are there; whether the predicate held for any.
bool barrier(int line, bool predicate);

/// Waits until all lanes of the mask are there; gives a shuffle's value, or the lanes whose value is not 0.
std::uint64_t warp_operation(int line, Operation operation, unsigned mask, std::uint64_t value, unsigned source);

template <class T> T shuffle(int line, unsigned mask, T value, unsigned source) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t), "a shuffle moves at most eight bytes");
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = warp_operation(line, Operation::Shuffle, mask, bits, source);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

inline unsigned lane() { return threadIdx.x % LANES; }

/// One specialisation of a kernel: its entry point, threads of a block, bytes of its arguments.
struct Specialisation {
    void (*entry)(const void*);
    unsigned threads;
    std::size_t bytes;
};

/// All specialisations of the kernel that was compiled, in the contract's order, f32 before f64.
extern const Specialisation SPECIALISATIONS[];

} // namespace cuda_host

#define __syncthreads() ((void)cuda_host::barrier(__LINE__, false))
#define __syncthreads_or(predicate) (cuda_host::barrier(__LINE__, (predicate) != 0))
#define __syncwarp(mask) ((void)cuda_host::warp_operation(__LINE__, cuda_host::Operation::Sync, mask, 0, 0))
#define __shfl_sync(mask, value, source) (cuda_host::shuffle(__LINE__, mask, value, (source) % cuda_host::LANES))
#define __shfl_xor_sync(mask, value, flip) (cuda_host::shuffle(__LINE__, mask, value, cuda_host::lane() ^ (flip)))
#define __ballot_sync(mask, predicate)                                                                                 \
    (unsigned(cuda_host::warp_operation(__LINE__, cuda_host::Operation::Vote, mask, (predicate) != 0, 0)))
