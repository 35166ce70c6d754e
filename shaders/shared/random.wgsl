// random — Philox 4x32-10 and the keyed Feistel network, as `src/random/` defines them, and 64-bit numbers as pairs
// (high, low) of words.

/// a * b.
fn long_product(a: u32, b: u32) -> vec2<u32> {
    let a1 = a >> 16u;
    let a0 = a & 0xffffu;
    let b1 = b >> 16u;
    let b0 = b & 0xffffu;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return vec2(a1 * b1 + (middle >> 16u) + (other >> 16u), a * b);
}

fn long_sum(a: vec2<u32>, b: u32) -> vec2<u32> {
    let low = a.y + b;
    return vec2(a.x + select(0u, 1u, low < b), low);
}

/// Quotient (high, low) and remainder.
fn long_division(a: vec2<u32>, n: u32) -> vec3<u32> {
    var quotient = 0u;
    var rest = a.x % n;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let carried = rest >> 31u;
        rest = (rest << 1u) | ((a.y >> (31u - bit)) & 1u);
        quotient <<= 1u;
        if carried != 0u || rest >= n {
            rest -= n;
            quotient |= 1u;
        }
    }
    return vec3(a.x / n, quotient, rest);
}

fn philox(start: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = seed;
    for (var turn = 0u; turn < 10u; turn += 1u) {
        let first = long_product(0xD2511F53u, counter.x);
        let second = long_product(0xCD9E8D57u, counter.z);
        counter = vec4(second.x ^ counter.y ^ key.x, second.y, first.x ^ counter.w ^ key.y, first.y);
        key += vec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

fn feistel_mix(start: u32) -> u32 {
    var x = start;
    x ^= x >> 16u;
    x *= 0x7FEB352Du;
    x ^= x >> 15u;
    x *= 0x846CA68Bu;
    return x ^ (x >> 16u);
}

fn feistel_round(x: u32, turn: u32, key: vec4<u32>) -> u32 {
    let second = key[(turn + 1u) % 4u] + turn * 0x9E3779B9u;
    return feistel_mix(feistel_mix(x + key[turn % 4u]) ^ second);
}

/// Entry `index` of the permutation of [0, n) that belongs to a key; index < n.
fn feistel(index: u32, n: u32, key: vec4<u32>) -> u32 {
    let bits = max(32u - countLeadingZeros(n - 1u), FEISTEL_MIN_BITS);
    let left_bits = bits / 2u;
    let right_bits = bits - left_bits;
    let left_mask = (1u << left_bits) - 1u;
    let right_mask = (1u << right_bits) - 1u;
    var value = index;
    loop {
        var left = value >> right_bits;
        var right = value & right_mask;
        for (var turn = 0u; turn < FEISTEL_ROUNDS; turn += 2u) {
            left ^= feistel_round(right, turn, key) & left_mask;
            right ^= feistel_round(left, turn + 1u, key) & right_mask;
        }
        value = (left << right_bits) | right;
        if value < n {
            return value;
        }
    }
    return value;
}
