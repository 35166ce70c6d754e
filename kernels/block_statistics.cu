// block_statistics — agreement of pairs of gradients within and between splits and classes.
//
// in 0 gram [N, N], as scaled   in 1 labels [N]   out 2 agreement [3, 3, 2]   params n, first
// order: a thread takes every 256th column, its rows ascending; then over the threads, in f64; one block
//
// Blocks: both of the first `first` samples, both of the rest, one of each. In each: all pairs i < j of non-zero
// gradients, those with one label, those with two. Of each: mean cosine, mean sign of the product (stiffness, Fort et
// al. 1901.09491, without the pairs i = j); null where there is no pair.

/// Blocks, in each of which pairs have one label or two.
constexpr u32 BLOCKS = 3;
constexpr u32 CELLS = 2 * BLOCKS;

/// Pairs, their cosines and their signs.
struct Sums {
    wide pairs;
    wide cosine;
    wide sign;
};

__device__ void write(const Args& args, u32 place, const Sums& sums) {
    args.agreement[2 * place] = sums.cosine / sums.pairs;
    args.agreement[2 * place + 1] = sums.sign / sums.pairs;
}

__device__ void run(const Args& args, u64 group) {
    __shared__ wide warps[THREADS / WARP];
    __shared__ wide inverses[THREADS];
    const u64 n = args.n;
    const auto inverse_of = [&](u64 k) {
        const wide square = args.gram[k * n + k];
        return square > 0.0 ? 1.0 / sqrt(square) : 0.0;
    };
    Sums cells[CELLS] = {};
    for (u64 start = 0; start < n; start += THREADS) {
        __syncthreads();
        if (start + threadIdx.x < n) {
            inverses[threadIdx.x] = inverse_of(start + threadIdx.x);
        }
        __syncthreads();
        for (u64 j = start + threadIdx.x; j < n; j += THREADS) {
            const wide own = inverse_of(j);
            for (u64 i = start; i < j && i < start + THREADS; i++) {
                const wide other = inverses[i - start];
                if (own == 0.0 || other == 0.0) {
                    continue;
                }
                const wide product = args.gram[i * n + j];
                const u32 block = j < args.first ? 0 : i >= args.first ? 1 : 2;
                const u32 cell = 2 * block + (args.labels[i] == args.labels[j] ? 0 : 1);
                // Told apart rather than looked up, so that the sums stay in registers.
                UNROLL
                for (u32 k = 0; k < CELLS; k++) {
                    if (k == cell) {
                        cells[k].pairs += 1.0;
                        cells[k].cosine += product * other * own;
                        cells[k].sign += product > 0.0 ? 1.0 : product < 0.0 ? -1.0 : 0.0;
                    }
                }
            }
        }
    }
    UNROLL
    for (u32 k = 0; k < CELLS; k++) {
        cells[k].pairs = sum_threads(warps, cells[k].pairs);
        cells[k].cosine = sum_threads(warps, cells[k].cosine);
        cells[k].sign = sum_threads(warps, cells[k].sign);
    }
    if (threadIdx.x != 0) {
        return;
    }
    UNROLL
    for (u32 block = 0; block < BLOCKS; block++) {
        const Sums& same = cells[2 * block];
        const Sums& other = cells[2 * block + 1];
        write(args, 3 * block, Sums{same.pairs + other.pairs, same.cosine + other.cosine, same.sign + other.sign});
        write(args, 3 * block + 1, same);
        write(args, 3 * block + 2, other);
    }
}
