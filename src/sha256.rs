//! SHA-256 (FIPS 180-4), by which a file can be told from every other with tools that all systems have.

/// The digest of some bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((bytes.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    let mut hash = roots(8, 2.0);
    let constants = roots(64, 3.0);
    for block in padded.chunks_exact(64) {
        compress(&mut hash, &constants, block);
    }
    hash.iter().map(|word| format!("{word:08x}")).collect()
}

/// First 32 bits of the fractional parts of the square or cube roots of the first primes.
fn roots(count: usize, degree: f64) -> Vec<u32> {
    let primes = (2u32..).filter(|n| (2..*n).all(|d| n % d != 0));
    primes
        .take(count)
        .map(|prime| {
            // 53 bits hold the root of a number below 512 to 2^-44 and better.
            let root = f64::from(prime).powf(1.0 / degree);
            (root.fract() * 32f64.exp2()) as u32
        })
        .collect()
}

fn compress(hash: &mut [u32], constants: &[u32], block: &[u8]) {
    let mut w: Vec<u32> = block
        .as_chunks()
        .0
        .iter()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .collect();
    for t in 16..64 {
        let (a, b) = (w[t - 15], w[t - 2]);
        let small = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
        let large = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
        w.push(w[t - 16].wrapping_add(small).wrapping_add(w[t - 7]).wrapping_add(large));
    }
    let mut s: [u32; 8] = std::array::from_fn(|i| hash[i]);
    for (constant, word) in constants.iter().zip(&w) {
        let [a, b, c, d, e, f, g, h] = s;
        let of_e = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let of_a = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let first = h
            .wrapping_add(of_e)
            .wrapping_add((e & f) ^ (!e & g))
            .wrapping_add(*constant)
            .wrapping_add(*word);
        let second = of_a.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        s = [first.wrapping_add(second), a, b, c, d.wrapping_add(first), e, f, g];
    }
    hash.iter_mut()
        .zip(s)
        .for_each(|(sum, word)| *sum = sum.wrapping_add(word));
}

#[cfg(test)]
mod tests {
    use super::sha256;

    #[test]
    fn digests_are_those_of_the_standard() {
        for (text, digest) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ] {
            assert_eq!(sha256(text.as_bytes()), digest);
        }
        let million = vec![b'a'; 1_000_000];
        assert_eq!(
            sha256(&million),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
    }
}
