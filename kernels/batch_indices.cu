// batch_indices — the step's minibatch: entries [tB, tB + B) of the concatenated epoch permutations.
//
// out 0 indices [B]   params batch B, n
// control: seed, step
//
// Each permutation is a keyed Feistel network over the next power of two (at least 2^FEISTEL_MIN_BITS) that walks until
// it is within n.
// import random

__device__ u32 mix(u32 x) {
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

__device__ u32 round_of(u32 x, u32 round, const Words& key) {
    const u32 first = key.word[round % 4];
    const u32 second = key.word[(round + 1) % 4] + round * 0x9E3779B9u;
    return mix(mix(x + first) ^ second);
}

__device__ u32 feistel(u32 index, u32 n, const Words& key) {
    u32 bits = FEISTEL_MIN_BITS;
    while (bits < 32 && (n - 1) >> bits != 0) {
        bits++;
    }
    const u32 left_bits = bits / 2;
    const u32 right_bits = bits - left_bits;
    const u32 left_mask = (1u << left_bits) - 1;
    const u32 right_mask = (1u << right_bits) - 1;
    u32 value = index;
    do {
        u32 left = value >> right_bits;
        u32 right = value & right_mask;
        for (u32 round = 0; round < FEISTEL_ROUNDS; round += 2) {
            left ^= round_of(right, round, key) & left_mask;
            right ^= round_of(left, round + 1, key) & right_mask;
        }
        value = left << right_bits | right;
    } while (value >= n);
    return value;
}

__device__ void run(const Args& args, u64 group) {
    const u64 position = group * THREADS + threadIdx.x;
    if (position >= args.batch) {
        return;
    }
    const u64 entry = args.control[CONTROL_STEP] * args.batch + position;
    const u64 epoch = entry / args.n;
    const Words key = stream_of(args.control, PURPOSE_BATCH_ORDER, 0).block(epoch);
    args.indices[position] = feistel(u32(entry % args.n), u32(args.n), key);
}
