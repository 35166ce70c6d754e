// CUDA's execution model on one thread of the host, enough to run this project's kernels.
//
// The threads of a block are fibers. One runs until it meets a barrier or a warp operation, finishes, or fails; so code
// that relies on threads of a warp running in step, or that lacks a barrier, computes something else in at least one of
// the orders in which fibers are taken. Shared memory is filled with NaN before each block. What a kernel does wrong by
// the rules (a barrier that some threads never reach, a shuffle with a lane that is not there) ends the launch with a
// message. Blocks run one after the other. Not modelled: timing, caches, memory order within a barrier's interval.
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "fiber.hpp"
#include "host.hpp"
#include "watch.hpp"

// The linker's names for where shared memory begins and ends.
extern "C" __attribute__((weak, visibility("hidden"))) char __start_gmatrix_shared[], __stop_gmatrix_shared[];

Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_host {

enum class State { Ready, AtBarrier, AtWarp, Done };

struct Thread {
    std::unique_ptr<Fiber> fiber;
    State state = State::Done;
    /// What it waits at.
    int line = 0;
    Operation operation = Operation::Sync;
    unsigned mask = 0;
    /// What it gives: a shuffle's value, a vote's or a barrier's predicate; and from which lane it takes.
    std::uint64_t value = 0;
    unsigned source = 0;
    /// What it gets.
    std::uint64_t result = 0;
};

struct Block {
    std::vector<Thread> threads;
    Thread* running = nullptr;
    Fiber scheduler;
    void (*entry)(const void*) = nullptr;
    const void* launch = nullptr;
    char failure[256] = {};
};

static Block block;

__attribute__((format(printf, 1, 2))) static void fail(const char* format, ...) {
    if (block.failure[0] == 0) {
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(block.failure, sizeof block.failure, format, arguments);
        va_end(arguments);
    }
}

static void wait(State state, int line) {
    Thread& own = *block.running;
    own.state = state;
    own.line = line;
    Fiber::go(*own.fiber, block.scheduler);
}

bool barrier(int line, bool predicate) {
    block.running->value = predicate;
    wait(State::AtBarrier, line);
    return block.running->result != 0;
}

std::uint64_t warp_operation(int line, Operation operation, unsigned mask, std::uint64_t value, unsigned source) {
    Thread& own = *block.running;
    own.operation = operation;
    own.mask = mask;
    own.value = value;
    own.source = source;
    wait(State::AtWarp, line);
    return block.running->result;
}

/// A body that a fiber runs: the kernel, for the thread that `running` says.
static void body() {
    block.entry(block.launch);
    wait(State::Done, 0);
}

/// Lets the lanes of a warp go on that have all met in one operation.
static bool release_warp(unsigned first) {
    const unsigned count = std::min<unsigned>(LANES, block.threads.size() - first);
    bool released = false;
    for (unsigned lane = 0; lane < count; lane++) {
        const Thread& own = block.threads[first + lane];
        const unsigned mask = own.mask;
        if (own.state != State::AtWarp) {
            continue;
        }
        if ((mask >> lane & 1) == 0) {
            fail("line %d: lane %u is not in its own mask %08x", own.line, lane, mask);
            return false;
        }
        bool all = true;
        unsigned ballot = 0;
        for (unsigned other = 0; other < LANES; other++) {
            if ((mask >> other & 1) == 0) {
                continue;
            }
            all = all && other < count;
            if (!all) {
                break;
            }
            const Thread& that = block.threads[first + other];
            all = that.state == State::AtWarp && that.mask == mask && that.operation == own.operation;
            ballot |= unsigned(that.value != 0) << other;
        }
        if (!all) {
            continue;
        }
        for (unsigned other = 0; other < count; other++) {
            Thread& that = block.threads[first + other];
            if ((mask >> other & 1) == 0) {
                continue;
            }
            if (that.operation == Operation::Shuffle) {
                if ((mask >> that.source & 1) == 0) {
                    fail("line %d: lane %u takes from lane %u, which is not in mask %08x", that.line, other, that.source,
                         mask);
                    return false;
                }
                that.result = block.threads[first + that.source].value;
            } else {
                that.result = ballot;
            }
        }
        for (unsigned other = 0; other < count; other++) {
            if (mask >> other & 1) {
                block.threads[first + other].state = State::Ready;
            }
        }
        released = true;
    }
    return released;
}

/// Lets all threads go on that wait at the barrier, if those that have not finished all do.
static bool release_barrier() {
    int line = 0;
    bool any = false;
    for (const Thread& thread : block.threads) {
        if (thread.state == State::Done) {
            continue;
        }
        if (thread.state != State::AtBarrier) {
            fail("line %d: some threads of a block wait for others that do not come", thread.line);
            return false;
        }
        if (line != 0 && thread.line != line) {
            fail("lines %d and %d: threads of a block wait at different barriers", line, thread.line);
            return false;
        }
        line = thread.line;
        any = any || thread.value != 0;
    }
    for (Thread& thread : block.threads) {
        if (thread.state == State::AtBarrier) {
            thread.result = any;
            thread.state = State::Ready;
        }
    }
    return line != 0;
}

/// In which order fibers and blocks are taken: 0 ascending, 1 descending, otherwise shuffled by this seed.
class Order {
  public:
    explicit Order(unsigned seed) : seed(seed), state(seed) {}

    void arrange(std::vector<unsigned>& places) {
        std::iota(places.begin(), places.end(), 0u);
        if (seed == 1) {
            std::reverse(places.begin(), places.end());
        } else if (seed > 1) {
            for (std::size_t k = places.size(); k > 1; k--) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                std::swap(places[k - 1], places[(state >> 33) % k]);
            }
        }
    }

  private:
    unsigned seed;
    std::uint64_t state;
};

static void run_block(Order& order, std::vector<unsigned>& places) {
    watch::fill_with_nan(__start_gmatrix_shared, __stop_gmatrix_shared);
    for (Thread& thread : block.threads) {
        thread.state = State::Ready;
        thread.fiber->start(body);
    }
    bool going = true;
    while (going && block.failure[0] == 0) {
        order.arrange(places);
        for (const unsigned place : places) {
            Thread& thread = block.threads[place];
            if (thread.state == State::Ready) {
                threadIdx = Index3{place, 0, 0};
                block.running = &thread;
                Fiber::go(block.scheduler, *thread.fiber);
            }
        }
        going = false;
        for (unsigned first = 0; first < block.threads.size(); first += LANES) {
            going = release_warp(first) || going;
        }
        going = going || release_barrier();
    }
}

/// Runs all blocks of a grid; returns false with a message if a thread broke a rule.
static bool run(void (*entry)(const void*), const void* launch, unsigned threads, Index3 grid, unsigned seed) {
    Order order(seed);
    block.entry = entry;
    block.launch = launch;
    block.failure[0] = 0;
    while (block.threads.size() < threads) {
        block.threads.emplace_back().fiber = std::make_unique<Fiber>();
    }
    block.threads.resize(threads);
    blockDim = Index3{threads, 1, 1};
    gridDim = grid;
    std::vector<unsigned> places(threads), blocks(grid.x * grid.y * grid.z);
    order.arrange(blocks);
    for (const unsigned number : blocks) {
        blockIdx = Index3{number % grid.x, number / grid.x % grid.y, number / grid.x / grid.y};
        run_block(order, places);
        if (block.failure[0] != 0) {
            return false;
        }
    }
    return true;
}

} // namespace cuda_host

/// Closes memory to kernels, or opens it again, where accesses are watched.
extern "C" __attribute__((visibility("default"))) void gmatrix_cuda_host_guard(const void* start, std::size_t bytes,
                                                                               int closed) {
    cuda_host::watch::guard(start, bytes, closed != 0);
}

/// What the harness calls. One launch at a time: fibers and shared memory are there once.
extern "C" __attribute__((visibility("default"))) int
gmatrix_cuda_host_launch(unsigned specialisation, const void* launch, std::size_t bytes, const unsigned* grid, unsigned order,
                         char* message, std::size_t room) {
    static std::mutex one_at_a_time;
    const std::lock_guard<std::mutex> guard(one_at_a_time);
    const cuda_host::Specialisation& which = cuda_host::SPECIALISATIONS[specialisation];
    if (which.bytes != bytes) {
        std::snprintf(message, room, "%zu bytes of arguments, the kernel takes %zu", bytes, which.bytes);
        return 1;
    }
    if (cuda_host::run(which.entry, launch, which.threads, Index3{grid[0], grid[1], grid[2]}, order)) {
        return 0;
    }
    std::snprintf(message, room, "%s", cuda_host::block.failure);
    return 1;
}
