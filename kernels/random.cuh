// random — numbers without state, as `random::Stream` has them: functions of (seed, purpose, sub-stream, index).

/// Four random words.
struct Words {
    u32 word[4];
};

/// Philox 4x32-10 (Salmon et al. 2011).
__device__ inline Words philox(Words counter, u32 key0, u32 key1) {
    for (u32 round = 0; round < 10; round++) {
        const u64 first = u64(0xD2511F53u) * counter.word[0];
        const u64 second = u64(0xCD9E8D57u) * counter.word[2];
        counter = Words{{u32(second >> 32) ^ counter.word[1] ^ key0, u32(second), u32(first >> 32) ^ counter.word[3] ^ key1,
                         u32(first)}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

struct Pair {
    wide first;
    wide second;
};

/// A number in [0, 1) from 64 random bits, of which the upper 53 count.
__device__ inline wide unit_interval(u32 low, u32 high) {
    return wide((u64(low) | u64(high) << 32) >> 11) * 1.1102230246251565e-16;
}

struct Stream {
    u32 key0;
    u32 key1;
    u32 sub;
    u32 purpose;

    /// 128 random bits.
    __device__ Words block(u64 index) const {
        return philox(Words{{u32(index), u32(index >> 32), sub, purpose}}, key0, key1);
    }

    /// Two standard normals (Box-Muller): the draws 2 index and 2 index + 1.
    __device__ Pair normals(u64 index) const {
        const Words words = block(index);
        // 1 - u is in (0, 1], so that the logarithm is finite.
        const wide radius = sqrt(-2.0 * log(1.0 - unit_interval(words.word[0], words.word[1])));
        const wide turns = 2.0 * unit_interval(words.word[2], words.word[3]);
        return Pair{radius * cospi(turns), radius * sinpi(turns)};
    }
};

/// That of a run's seed.
__device__ inline Stream stream_of(const u32* control, u32 purpose, u32 sub) {
    return Stream{control[CONTROL_SEED_LOW], control[CONTROL_SEED_HIGH], sub, purpose};
}
