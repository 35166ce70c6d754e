// tile — products of tiles of 64 x 64: 256 threads, each of which has 4 x 4 of them in registers.

enum : u32 {
    SIDE = 64,
    DEPTH = 16,
    PART = 4,
    TILE_THREADS = (SIDE / PART) * (SIDE / PART),
};

/// Row and column, within a tile, of the first element of a thread's part.
__device__ inline u32 part_row() { return threadIdx.x / (SIDE / PART) * PART; }
__device__ inline u32 part_column() { return threadIdx.x % (SIDE / PART) * PART; }

/// sums += A B for a tile, k ascending in each element. `left(row, k)` and `right(column, k)` load elements and give 0
/// outside of their matrices, both for k too large, so that no number meets a zero that it should not. Every thread
/// must call it. The buffers are shared memory, [DEPTH][SIDE].
template <class T, class Left, class Right>
__device__ inline void multiply(T (&sums)[PART][PART], T* left_tile, T* right_tile, u64 first, u64 end, Left left,
                                Right right) {
    for (u64 start = first; start < end; start += DEPTH) {
        __syncthreads();
        for (u32 k = threadIdx.x; k < DEPTH * SIDE; k += TILE_THREADS) {
            const u32 row = k % SIDE;
            const u64 depth = start + k / SIDE;
            left_tile[k] = depth < end ? left(row, depth) : T(0);
            right_tile[k] = depth < end ? right(row, depth) : T(0);
        }
        __syncthreads();
        UNROLL
        for (u32 depth = 0; depth < DEPTH; depth++) {
            UNROLL
            for (u32 i = 0; i < PART; i++) {
                const T x = left_tile[depth * SIDE + part_row() + i];
                UNROLL
                for (u32 j = 0; j < PART; j++) {
                    sums[i][j] = fma(x, right_tile[depth * SIDE + part_column() + j], sums[i][j]);
                }
            }
        }
    }
}

/// Row and column of a tile of the upper triangle of `side` x `side` tiles, counted along rows.
struct Place {
    u64 row;
    u64 column;
};

__device__ inline Place upper_tile(u64 number, u64 side) {
    u64 row = 0;
    u64 left = side;
    while (number >= left) {
        number -= left;
        left -= 1;
        row += 1;
    }
    return Place{row, row + number};
}
