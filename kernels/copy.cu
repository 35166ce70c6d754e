// copy — out = input.
//
// in 0 input [len]   out 1 out [len]   params len

__device__ void run(const Args& args, u64 group) {
    const u64 k = group * THREADS + threadIdx.x;
    if (k >= args.len) {
        return;
    }
    args.out[k] = args.input[k];
}
