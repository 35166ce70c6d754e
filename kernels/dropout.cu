// dropout — x = 0 where the draw of its element falls below the step's share, else x / (1 - share).
//
// inout 0 x [len]   in 1 scalars (rates)   params len, layer   control: seed, step   a thread makes four elements
//
// The draw of element k is word k mod 4 of Philox block [k / 4, layer, step, purpose] under the run's seed: forward and
// backward pass find the same. It is dropped if the word is below share 2^32.
// import random

__device__ void run(const Args& args, u64 group) {
    const u64 first = 4 * (group * THREADS + threadIdx.x);
    const wide share = args.scalars[CONTROL_DROPOUT];
    if (first >= args.len || share == 0.0) {
        return;
    }
    const Stream stream = stream_of(args.control, PURPOSE_DROPOUT, args.control[CONTROL_STEP]);
    const Words words = stream.block(args.layer << 32 | first / 4);
    const wide threshold = share * 4294967296.0;
    const real scale = real(1.0 / (1.0 - share));
    UNROLL
    for (u32 k = 0; k < 4; k++) {
        if (first + k < args.len) {
            args.x[first + k] = wide(words.word[k]) < threshold ? real(0) : args.x[first + k] * scale;
        }
    }
}
