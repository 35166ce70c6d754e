// A stand-in for libcuda: the part of the driver's interface that this project calls, on memory of the host, with kernels
// that the stand-in for NVRTC (compiler.cpp) compiled for it.
//
// Work is not done when it is submitted but when somebody waits for it, so that a missing wait shows. What a real driver
// refuses is refused: calls without a context, unknown kernels, blocks and grids of the wrong size, ranges outside of an
// allocation, waiting and allocating while a graph is captured (by this thread, or by any in the global mode). Freed memory is closed, so that using it ends the process.
// Settings come from GMATRIX_STANDIN, words by commas: version=12040, devices=0, capability=70, memory=1000000 (bytes),
// fail=N (the Nth launch by a call of the host is refused), fault=N (the Nth kernel that runs breaks the context).
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#define API extern "C" __attribute__((visibility("default"))) int

enum {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_WRONG_THREAD = 908,
};

static const std::map<int, std::pair<const char*, const char*>> ERRORS = {
    {OK, {"CUDA_SUCCESS", "no error"}},
    {INVALID_VALUE, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {OUT_OF_MEMORY, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {NO_DEVICE, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
    {INVALID_IMAGE, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
    {INVALID_CONTEXT, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
    {NO_BINARY_FOR_GPU, {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"}},
    {INVALID_HANDLE, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
    {NOT_FOUND, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
    {NOT_READY, {"CUDA_ERROR_NOT_READY", "device not ready"}},
    {ILLEGAL_ADDRESS, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
    {LAUNCH_OUT_OF_RESOURCES, {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"}},
    {CAPTURE_UNSUPPORTED, {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}},
    {CAPTURE_WRONG_THREAD, {"CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"}},
    {CAPTURE_INVALIDATED, {"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error"}},
};

static long setting(const char* name, long otherwise) {
    const char* all = std::getenv("GMATRIX_STANDIN");
    const std::string key = std::string(name) + "=";
    for (std::string rest = all ? all : ""; !rest.empty();) {
        const std::size_t comma = rest.find(',');
        const std::string word = rest.substr(0, comma);
        if (word.rfind(key, 0) == 0) {
            return std::atol(word.c_str() + key.size());
        }
        rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    }
    return otherwise;
}

using Operation = std::function<int()>;

struct Stream {
    std::deque<Operation> queue;
    std::vector<Operation>* captured = nullptr;
    int mode = 0;
    std::thread::id owner;
    bool invalid = false;
};
struct Event {
    bool timed = false, recorded = false;
    Stream* stream = nullptr;
    std::uint64_t wanted = 0, passed = 0;
    std::chrono::steady_clock::time_point time;
};
using Launcher = int (*)(unsigned, const void*, std::size_t, const unsigned*, unsigned, char*, std::size_t);
struct Module {
    void* library = nullptr;
    const char* name = nullptr;
    unsigned threads = 0;
    std::size_t bytes = 0;
    Launcher launch = nullptr;
};
struct Graph {
    std::vector<Operation> operations;
};

static std::recursive_mutex lock;
static std::map<std::uint64_t, std::size_t> memory, pinned;
static std::set<Stream*> streams;
static std::set<Event*> events;
static std::set<Module*> modules;
static std::set<Graph*> graphs, executables;
static int retained = 0, broken = OK;
static long launches = 0, kernels = 0;
static thread_local bool bound = false;

#define BEGIN                                                                                                          \
    const std::lock_guard<std::recursive_mutex> guard(lock);                                                           \
    if (!bound || retained == 0) {                                                                                     \
        return INVALID_CONTEXT;                                                                                        \
    }                                                                                                                  \
    if (broken != OK) {                                                                                                \
        return broken;                                                                                                 \
    }

// Whether the capture of a stream, if any, forbids this thread what is unsafe: in the global mode (0) it does so to all
// threads, in the local one (1) to its own, in the relaxed one (2) to none.
static bool is_guarded(const Stream* stream) {
    return stream->captured != nullptr &&
           (stream->mode == 0 || (stream->mode == 1 && stream->owner == std::this_thread::get_id()));
}

static bool capturing() { return std::any_of(streams.begin(), streams.end(), is_guarded); }

static int not_while_capturing() {
    for (Stream* stream : streams) {
        stream->invalid = stream->invalid || is_guarded(stream);
    }
    return CAPTURE_UNSUPPORTED;
}

static int run(Stream* stream) {
    while (!stream->queue.empty() && broken == OK) {
        const Operation operation = std::move(stream->queue.front());
        stream->queue.pop_front();
        broken = operation();
    }
    return broken;
}

static int submit(Stream* stream, Operation operation) {
    if (streams.count(stream) == 0) {
        return INVALID_HANDLE;
    }
    if (stream->captured != nullptr) {
        stream->captured->push_back(std::move(operation));
    } else {
        stream->queue.push_back(std::move(operation));
    }
    return OK;
}

static bool within(const std::map<std::uint64_t, std::size_t>& of, std::uint64_t address, std::size_t bytes) {
    auto found = of.upper_bound(address);
    if (found == of.begin()) {
        return false;
    }
    --found;
    return address + bytes <= found->first + found->second;
}

static std::size_t pages(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

/// Memory that ends where its last page does, but for the alignment of 256 bytes, with a closed page behind it.
static std::uint64_t allocate(std::size_t bytes) {
    void* start = mmap(nullptr, pages(bytes) + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        return 0;
    }
    mprotect(static_cast<char*>(start) + pages(bytes), 4096, PROT_NONE);
    // As a real device leaves what was there before.
    std::memset(start, 0xcd, pages(bytes));
    return reinterpret_cast<std::uint64_t>(start);
}

static int release(std::map<std::uint64_t, std::size_t>& of, std::uint64_t address) {
    const auto found = of.find(address);
    if (found == of.end()) {
        return INVALID_VALUE;
    }
    mprotect(reinterpret_cast<void*>(address), pages(found->second), PROT_NONE);
    madvise(reinterpret_cast<void*>(address), pages(found->second), MADV_DONTNEED);
    of.erase(found);
    return OK;
}

API cuGetErrorName(int error, const char** text) {
    const auto found = ERRORS.find(error);
    *text = found == ERRORS.end() ? nullptr : found->second.first;
    return *text ? OK : INVALID_VALUE;
}
API cuGetErrorString(int error, const char** text) {
    const auto found = ERRORS.find(error);
    *text = found == ERRORS.end() ? nullptr : found->second.second;
    return *text ? OK : INVALID_VALUE;
}

API cuDriverGetVersion(int* version) {
    *version = int(setting("version", 13000));
    return OK;
}
API cuInit(unsigned) { return setting("devices", 1) == 0 ? NO_DEVICE : OK; }
API cuDeviceGetCount(int* count) {
    *count = int(setting("devices", 1));
    return OK;
}
API cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < setting("devices", 1) ? OK : INVALID_VALUE;
}
API cuDeviceGetName(char* name, int room, int) {
    std::snprintf(name, room, "stand-in device");
    return OK;
}
API cuDeviceTotalMem_v2(std::size_t* bytes, int) {
    *bytes = setting("memory", 1l << 33);
    return OK;
}
API cuDeviceGetAttribute(int* value, int attribute, int) {
    const int capability = int(setting("capability", 90));
    const std::map<int, int> known = {{13, 1500000}, {16, 4}, {75, capability / 10}, {76, capability % 10}};
    const auto found = known.find(attribute);
    *value = found == known.end() ? 0 : found->second;
    return found == known.end() ? INVALID_VALUE : OK;
}

API cuDevicePrimaryCtxRetain(void** context, int) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    retained += 1;
    *context = &retained;
    return OK;
}
API cuDevicePrimaryCtxRelease_v2(int) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    retained -= 1;
    const std::size_t left =
        memory.size() + pinned.size() + streams.size() + events.size() + modules.size() + graphs.size() + executables.size();
    if (retained == 0 && left > 0) {
        std::fprintf(stderr, "stand-in: leaked: %zu memory, %zu pinned, %zu streams, %zu events, %zu modules, %zu graphs\n",
                     memory.size(), pinned.size(), streams.size(), events.size(), modules.size(),
                     graphs.size() + executables.size());
    }
    return OK;
}
API cuCtxSetCurrent(void* context) {
    bound = context == &retained;
    return bound || context == nullptr ? OK : INVALID_CONTEXT;
}

API cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    BEGIN;
    *total = setting("memory", 1l << 33);
    *free = *total;
    for (const auto& one : memory) {
        *free -= std::min(*free, one.second);
    }
    return OK;
}
API cuMemAlloc_v2(std::uint64_t* address, std::size_t bytes) {
    BEGIN;
    std::size_t free = 0, total = 0;
    cuMemGetInfo_v2(&free, &total);
    if (capturing()) {
        return not_while_capturing();
    }
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    *address = bytes > free ? 0 : allocate(bytes);
    if (*address == 0) {
        return OUT_OF_MEMORY;
    }
    memory[*address] = bytes;
    return OK;
}
API cuMemFree_v2(std::uint64_t address) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    return release(memory, address);
}
API cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned) {
    BEGIN;
    if (capturing()) {
        return not_while_capturing();
    }
    *pointer = reinterpret_cast<void*>(bytes == 0 ? 0 : allocate(bytes));
    if (*pointer == nullptr) {
        return OUT_OF_MEMORY;
    }
    pinned[reinterpret_cast<std::uint64_t>(*pointer)] = bytes;
    return OK;
}
API cuMemFreeHost(void* pointer) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    return release(pinned, reinterpret_cast<std::uint64_t>(pointer));
}

API cuMemsetD8Async(std::uint64_t address, unsigned char value, std::size_t bytes, Stream* stream) {
    BEGIN;
    if (!within(memory, address, bytes)) {
        return INVALID_VALUE;
    }
    return submit(stream, [=] {
        std::memset(reinterpret_cast<void*>(address), value, bytes);
        return OK;
    });
}
API cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, Stream* stream) {
    BEGIN;
    if (!within(memory, to, bytes) || within(pinned, reinterpret_cast<std::uint64_t>(from), 1)) {
        return INVALID_VALUE;
    }
    const auto copy = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    return submit(stream, [=] {
        std::memcpy(reinterpret_cast<void*>(to), copy->data(), bytes);
        return OK;
    });
}
API cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, Stream* stream) {
    BEGIN;
    if (!within(memory, from, bytes) || !within(pinned, reinterpret_cast<std::uint64_t>(to), bytes)) {
        return INVALID_VALUE;
    }
    return submit(stream, [=] {
        std::memcpy(to, reinterpret_cast<void*>(from), bytes);
        return OK;
    });
}

API cuStreamCreate(Stream** stream, unsigned) {
    BEGIN;
    *stream = *streams.insert(new Stream).first;
    return OK;
}
API cuStreamDestroy_v2(Stream* stream) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    if (streams.erase(stream) == 0) {
        return INVALID_HANDLE;
    }
    run(stream);
    delete stream;
    return OK;
}
API cuStreamSynchronize(Stream* stream) {
    BEGIN;
    if (streams.count(stream) == 0) {
        return INVALID_HANDLE;
    }
    if (stream->captured) {
        stream->invalid = true;
        return CAPTURE_UNSUPPORTED;
    }
    return run(stream);
}
API cuStreamBeginCapture_v2(Stream* stream, int mode) {
    BEGIN;
    if (streams.count(stream) == 0 || stream->captured) {
        return INVALID_HANDLE;
    }
    stream->captured = new std::vector<Operation>;
    stream->invalid = false;
    stream->mode = mode;
    stream->owner = std::this_thread::get_id();
    return OK;
}
API cuStreamEndCapture(Stream* stream, Graph** graph) {
    BEGIN;
    if (streams.count(stream) == 0 || !stream->captured) {
        return INVALID_HANDLE;
    }
    if (stream->mode != 2 && stream->owner != std::this_thread::get_id()) {
        return CAPTURE_WRONG_THREAD;
    }
    const std::unique_ptr<std::vector<Operation>> captured(stream->captured);
    stream->captured = nullptr;
    *graph = nullptr;
    if (stream->invalid) {
        return CAPTURE_INVALIDATED;
    }
    *graph = *graphs.insert(new Graph{*captured}).first;
    return OK;
}
API cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long) {
    BEGIN;
    if (graphs.count(graph) == 0) {
        return INVALID_HANDLE;
    }
    *executable = *executables.insert(new Graph(*graph)).first;
    return OK;
}
API cuGraphLaunch(Graph* executable, Stream* stream) {
    BEGIN;
    if (executables.count(executable) == 0) {
        return INVALID_HANDLE;
    }
    for (const Operation& operation : executable->operations) {
        if (const int error = submit(stream, operation)) {
            return error;
        }
    }
    return OK;
}
API cuGraphDestroy(Graph* graph) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    if (graphs.erase(graph) == 0) {
        return INVALID_HANDLE;
    }
    delete graph;
    return OK;
}
API cuGraphExecDestroy(Graph* executable) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    if (executables.erase(executable) == 0) {
        return INVALID_HANDLE;
    }
    delete executable;
    return OK;
}

API cuEventCreate(Event** event, unsigned flags) {
    BEGIN;
    Event* made = new Event;
    made->timed = (flags & 2) == 0;
    *event = *events.insert(made).first;
    return OK;
}
API cuEventDestroy_v2(Event* event) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    // What is queued still marks it.
    return events.erase(event) == 0 ? INVALID_HANDLE : OK;
}
API cuEventRecord(Event* event, Stream* stream) {
    BEGIN;
    if (events.count(event) == 0) {
        return INVALID_HANDLE;
    }
    event->stream = stream;
    event->recorded = true;
    const std::uint64_t number = ++event->wanted;
    return submit(stream, [=] {
        event->passed = number;
        event->time = std::chrono::steady_clock::now();
        return OK;
    });
}
API cuEventSynchronize(Event* event) {
    BEGIN;
    if (events.count(event) == 0) {
        return INVALID_HANDLE;
    }
    // Only as far as the event: what is behind it stays undone.
    while (event->recorded && event->passed < event->wanted && streams.count(event->stream) && !event->stream->queue.empty()) {
        const Operation operation = std::move(event->stream->queue.front());
        event->stream->queue.pop_front();
        broken = operation();
        if (broken != OK) {
            return broken;
        }
    }
    return OK;
}
static int elapsed(float* milliseconds, Event* first, Event* second) {
    BEGIN;
    if (events.count(first) == 0 || events.count(second) == 0 || !first->timed || !second->timed || !first->recorded ||
        !second->recorded) {
        return INVALID_HANDLE;
    }
    if (first->passed < first->wanted || second->passed < second->wanted) {
        return NOT_READY;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(second->time - first->time).count();
    return OK;
}
API cuEventElapsedTime(float* milliseconds, Event* first, Event* second) { return elapsed(milliseconds, first, second); }
API cuEventElapsedTime_v2(float* milliseconds, Event* first, Event* second) { return elapsed(milliseconds, first, second); }

API cuModuleLoadData(Module** module, const char* image) {
    BEGIN;
    if (capturing()) {
        return not_while_capturing();
    }
    char architecture[32] = {};
    unsigned long size = 0;
    int header = 0;
    if (std::sscanf(image, "stand-in %31s %lu\n%n", architecture, &size, &header) != 2 || header == 0) {
        return INVALID_IMAGE;
    }
    const std::string own = "sm_" + std::to_string(setting("capability", 90));
    if (std::strncmp(architecture, "sm_", 3) == 0 && own != architecture) {
        return NO_BINARY_FOR_GPU;
    }
    char path[] = "/tmp/gmatrix-stand-in-XXXXXX";
    const int file = mkstemp(path);
    const bool written = file >= 0 && write(file, image + header, size) == ssize_t(size);
    close(file);
    void* library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    unlink(path);
    if (library == nullptr) {
        return INVALID_IMAGE;
    }
    Module* made = new Module;
    made->library = library;
    made->name = static_cast<const char*>(dlsym(library, "gmatrix_kernel_name"));
    made->threads = *static_cast<const unsigned*>(dlsym(library, "gmatrix_kernel_threads"));
    made->bytes = *static_cast<const std::size_t*>(dlsym(library, "gmatrix_kernel_bytes"));
    made->launch = reinterpret_cast<Launcher>(dlsym(library, "gmatrix_cuda_host_launch"));
    *module = *modules.insert(made).first;
    return OK;
}
API cuModuleUnload(Module* module) {
    const std::lock_guard<std::recursive_mutex> guard(lock);
    if (modules.erase(module) == 0) {
        return INVALID_HANDLE;
    }
    dlclose(module->library);
    delete module;
    return OK;
}
API cuModuleGetFunction(Module** function, Module* module, const char* name) {
    BEGIN;
    if (modules.count(module) == 0) {
        return INVALID_HANDLE;
    }
    *function = module;
    return std::strcmp(module->name, name) == 0 ? OK : NOT_FOUND;
}
API cuLaunchKernel(Module* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                   unsigned shared, Stream* stream, void** arguments, void** extra) {
    BEGIN;
    if (modules.count(function) == 0) {
        return INVALID_HANDLE;
    }
    if (x == 0 || y == 0 || z == 0 || x > 0x7fffffffu || y > 65535 || z > 65535 || ty != 1 || tz != 1 || shared != 0 ||
        threads != function->threads || arguments == nullptr || extra != nullptr) {
        return INVALID_VALUE;
    }
    if (++launches == setting("fail", -1)) {
        return LAUNCH_OUT_OF_RESOURCES;
    }
    std::vector<std::uint64_t> argument((function->bytes + 7) / 8);
    std::memcpy(argument.data(), arguments[0], function->bytes);
    return submit(stream, [=] {
        if (++kernels == setting("fault", -1) || modules.count(function) == 0) {
            return int(ILLEGAL_ADDRESS);
        }
        const unsigned grid[3] = {x, y, z};
        char message[256] = {};
        if (function->launch(0, argument.data(), function->bytes, grid, 20261 + unsigned(kernels), message, sizeof message)) {
            std::fprintf(stderr, "stand-in: %s: %s\n", function->name, message);
            return int(ILLEGAL_ADDRESS);
        }
        return int(OK);
    });
}
