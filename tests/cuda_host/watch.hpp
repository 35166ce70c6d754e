// AddressSanitizer, where a library is built with it: what lies between shared arrays, and what the harness closes, must
// not be touched. Without it, nothing is watched.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace cuda_host::watch {

#if defined(__SANITIZE_ADDRESS__)

/// Fills memory with the bits of NaN, and what is closed between its parts, too.
__attribute__((no_sanitize("address"))) inline void fill_with_nan(char* start, char* stop) {
    // Volatile, so that it does not become a call of memset, which would be watched.
    for (volatile char* place = start; place < stop; place = place + 1) {
        *place = char(0xff);
    }
}

/// Closes memory to all code that is watched, or opens it again.
inline void guard(const void* start, std::size_t bytes, bool closed) {
    closed ? __asan_poison_memory_region(start, bytes) : __asan_unpoison_memory_region(start, bytes);
}

#else

inline void fill_with_nan(char* start, char* stop) {
    if (start != nullptr) {
        std::memset(start, 0xff, stop - start);
    }
}

inline void guard(const void*, std::size_t, bool) {}

#endif

} // namespace cuda_host::watch
