// sum_rows — out [width] = sums of the rows of partial.
//
// in 0 partial [rows, width]   out 1 out [width]   params rows, width   order: rows ascending

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.width) {
        return;
    }
    wide sum = 0;
    for (u64 row = 0; row < args.rows; row++) {
        sum += args.partial[row * args.width + k];
    }
    args.out[k] = sum;
}
