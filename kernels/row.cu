// row — copies the row's columns to the metrics ring, if anything was measured at this step.
//
// in 0 scalars   in 1 columns [columns]: the segment that fills each   inout 2 block   inout 3 ring [capacity, columns]
// inout 4 header [capacity, 2 + words]: run id, step, valid bits   params columns, capacity

__device__ void run(const Args& args, u64 group) {
    const u32* due = args.block + CONTROL_DUE;
    if (!due[SEGMENT_SCALARS] && !due[SEGMENT_EVALUATE] && !due[SEGMENT_GRAM] && !due[SEGMENT_DECOMPOSE]) {
        return;
    }
    const u64 width = args.columns_count;
    const u64 rows = args.block[CONTROL_ROWS];
    const u64 place = rows % args.capacity;
    for (u64 column = threadIdx.x; column < width; column += THREADS) {
        args.ring[place * width + column] = args.scalars[CONTROL_RATES + column];
    }
    const u64 header_width = 2 + (width + 31) / 32;
    u32* header = args.header + place * header_width;
    for (u64 word = threadIdx.x; word < header_width - 2; word += THREADS) {
        u32 bits = 0;
        for (u64 column = word * 32; column < width && column < word * 32 + 32; column++) {
            bits |= u32(due[args.columns[column]] != 0) << column % 32;
        }
        header[2 + word] = bits;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        header[0] = args.block[CONTROL_RUN];
        header[1] = args.block[CONTROL_STEP];
        args.block[CONTROL_ROWS] = u32(rows + 1);
    }
}
