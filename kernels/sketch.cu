// sketch — two independent two-sided sketches [N, 2, 64] of every sample's gradient, as scaled.
//
// in 0 activations   in 1 cotangents   in 2 ids [T, N]   in 3 sites [sites, 12]   out 4 sketch [N, 2, 8, 8]
// params n, sites   control: seed, step
// order: sites, then positions ascending; products in 8 running sums over places, added ascending; a block takes one
// sample, a thread one number of its two sketches
//
// Sketch (row, column) of sample i is the sum over sites and positions of (L b_it)_row (R a_it)_column, L and R with
// entries of one size and random signs, other ones for each site, sketch and step. a is the input, with a 1 behind it
// for a bias; a unit vector for tables of tokens and positions; 1 for gradients that are there.
// Signs: bit `row` of word `step * width + place` of stream (seed, Sketch), sub-stream 4 site + 2 sketch + (0 for L, 1
// for R), in which `place` counts the entries of b or a.
// import random
// import sites

constexpr u32 AREA = SKETCH_SIDE * SKETCH_SIDE;

/// Rows of L b or R a of both sketches, and running sums of each.
constexpr u32 ROWS = 2 * SKETCH_SIDE;
constexpr u32 PARTS = THREADS / ROWS;

/// Size of every entry of L and R: one over the root of the sketch's side.
constexpr wide SIZE = 0.35355339059327376220;
static_assert(SKETCH_SIDE == 8 && THREADS == 2 * AREA, "a thread for each number of both sketches");

/// x where the bit is set, else -x.
__device__ real with_sign(real x, u32 word, u64 bit) { return (word >> bit & 1) != 0 ? x : -x; }

/// The low bits of word `index` of sub-stream `sub`, behind them those of the second sketch's.
__device__ u32 signs(const Args& args, u32 sub, u64 index) {
    u32 word = 0;
    UNROLL
    for (u32 copy = 0; copy < 2; copy++) {
        const Words found = stream_of(args.control, PURPOSE_SKETCH, sub + 2 * copy).block(index / 2);
        const u32 half = index % 2 != 0 ? found.word[2] : found.word[0];
        word |= (half & ((1u << SKETCH_SIDE) - 1)) << (copy * SKETCH_SIDE);
    }
    return word;
}

/// Shared memory of a projection.
struct Room {
    /// Signs of THREADS places: bits of the first sketch, behind them those of the second.
    u32 words[THREADS];
    real parts[THREADS];
};

/// Number `wanted` among the ROWS of L b or R a of a row x of so many numbers, with a 1 behind them where `width` says so.
/// Every thread must call it.
__device__ real projection(const Args& args, Room& room, const real* x, u64 numbers, u64 width, u32 sub, u64 wanted) {
    const u64 step = args.control[CONTROL_STEP];
    const u32 own = threadIdx.x / PARTS;
    real sum = real(0);
    for (u64 first = 0; first < width; first += THREADS) {
        __syncthreads();
        if (first + threadIdx.x < width) {
            room.words[threadIdx.x] = signs(args, sub, step * width + first + threadIdx.x);
        }
        __syncthreads();
        for (u64 k = threadIdx.x % PARTS; k < THREADS && first + k < width; k += PARTS) {
            sum += with_sign(first + k < numbers ? x[first + k] : real(1), room.words[k], own);
        }
    }
    room.parts[threadIdx.x] = sum;
    __syncthreads();
    real total = real(0);
    UNROLL
    for (u32 part = 0; part < PARTS; part++) {
        total += room.parts[wanted * PARTS + part];
    }
    __syncthreads();
    return real(SIZE) * total;
}

__device__ void run(const Args& args, u64 sample) {
    __shared__ Room room;
    const Sources<real> from = {args.activations, args.cotangents, args.ids, args.sites, args.n, args.sites_count};
    const u64 row = threadIdx.x / SKETCH_SIDE;
    const u64 column = threadIdx.x / AREA * SKETCH_SIDE + threadIdx.x % SKETCH_SIDE;
    real sum = real(0);
    for (u64 number = 0; number < from.count; number++) {
        const SiteEntry site = site_at(from.sites, number);
        const u32 sub = u32(4 * number);
        const u64 width = site.d_in + (site.kind == LINEAR_BIAS ? 1 : 0);
        for (u64 t = 0; t < site.positions; t++) {
            const real* b = from.cotangents + site.b.row(sample, t);
            const real left = projection(args, room, b, site.d_out, site.d_out, sub, row);
            real right = real(0);
            if (site.kind <= LINEAR_BIAS) {
                const real* a = from.activations + site.a.row(sample, t);
                right = projection(args, room, a, site.d_in, width, sub + 1, column);
            } else {
                const u64 place = site.kind == EMBEDDING ? from.id(site, sample, t) : t;
                const u64 step = args.control[CONTROL_STEP];
                right = with_sign(real(SIZE), signs(args, sub + 1, (step << 32) + place), column);
            }
            sum = fma(left, right, sum);
        }
    }
    args.sketch[sample * 2 * AREA + threadIdx.x] = sum;
}
