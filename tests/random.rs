//! Random numbers: known answers, moments, and permutations that are bijections without structure.

use std::collections::HashMap;

use gmatrix::random::{Permutation, Purpose, Stream, batch_index, epoch_key, feistel, philox4x32};
use proptest::prelude::*;

#[test]
fn philox_gives_the_known_answers_of_random123() {
    let cases = [
        ([0; 4], [0; 2], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
        (
            [u32::MAX; 4],
            [u32::MAX; 2],
            [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD],
        ),
        (
            [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
            [0xA409_3822, 0x299F_31D0],
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1],
        ),
    ];
    for (counter, key, expected) in cases {
        assert_eq!(philox4x32(counter, key), expected);
    }
}

/// Stored runs rest on these numbers. They were computed by another program from the documented formulas.
#[test]
fn draws_do_not_change() {
    let seed = 0x0123_4567_89AB_CDEF;
    let stream = Stream::new(seed, Purpose::InitialWeights).substream(7);
    assert_eq!(stream.block(1), [0xF9A3_6445, 0x1EE1_7293, 0x3EC6_E16D, 0xC594_9040]);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a}, expected {b}");
    close(stream.uniform(4), 0.435_035_432_319_510_03);
    close(stream.uniform(5), 0.211_511_184_374_244_1);
    close(stream.normal(4), 0.255_919_341_148_283_6);
    close(stream.normal(5), 1.037_540_271_300_563_7);
    assert_eq!(epoch_key(seed, 5), [0x7E8A_658F, 0x9F35_6376, 0x9F70_AEFB, 0x8D88_3704]);
    let first = |n: u32, epoch: u64, count: u32| -> Vec<u32> {
        (0..count).map(|i| feistel(i, n, epoch_key(seed, epoch))).collect()
    };
    assert_eq!(first(10, 0, 10), [9, 3, 8, 6, 1, 5, 4, 2, 7, 0]);
    assert_eq!(first(1740, 1, 8), [1401, 39, 706, 1147, 1451, 1575, 1096, 1266]);
    assert_eq!(
        first(4_000_000_000, 2, 4),
        [1_069_557_738, 1_856_690_706, 350_175_133, 561_780_570]
    );
    let minibatch = |t| -> Vec<u32> { (0..4).map(|i| batch_index(t, i, 4, 10, seed)).collect() };
    assert_eq!(minibatch(2), [7, 0, 8, 3]);
    assert_eq!(minibatch(3), [0, 6, 2, 7]);
}

#[test]
fn seeds_purposes_and_sub_streams_do_not_share_draws() {
    let streams = [
        Stream::new(0, Purpose::Split),
        Stream::new(1, Purpose::Split),
        Stream::new(1 << 32, Purpose::Split),
        Stream::new(0, Purpose::LabelNoise),
        Stream::new(0, Purpose::Split).substream(1),
    ];
    let mut seen = HashMap::new();
    for (s, stream) in streams.iter().enumerate() {
        for index in (0..100).chain([u64::from(u32::MAX) + 1, u64::MAX / 2]) {
            if let Some(other) = seen.insert(stream.bits(index), (s, index)) {
                panic!("stream {s}, index {index} repeats {other:?}");
            }
        }
    }
}

#[test]
fn uniforms_and_normals_have_their_moments() {
    let stream = Stream::new(7, Purpose::Null);
    let n = 200_000u64;
    let moment = |draw: &dyn Fn(u64) -> f64, k: i32| (0..n).map(|i| draw(i).powi(k)).sum::<f64>() / n as f64;
    // Five standard errors of each mean: sqrt(var(x^k) / n).
    let check = |name: &str, value: f64, expected: f64, variance: f64| {
        let bound = 5.0 * (variance / n as f64).sqrt();
        assert!(
            (value - expected).abs() < bound,
            "{name}: {value}, expected {expected} within {bound}"
        );
    };
    let uniform = |i| stream.uniform(i);
    check("mean of uniforms", moment(&uniform, 1), 0.5, 1.0 / 12.0);
    check("second moment of uniforms", moment(&uniform, 2), 1.0 / 3.0, 4.0 / 45.0);
    let normal = |i| stream.normal(i);
    check("mean of normals", moment(&normal, 1), 0.0, 1.0);
    check("second moment of normals", moment(&normal, 2), 1.0, 2.0);
    check("third moment of normals", moment(&normal, 3), 0.0, 15.0);
    check("fourth moment of normals", moment(&normal, 4), 3.0, 96.0);
    let neighbours = (0..n).map(|i| normal(i) * normal(i + 1)).sum::<f64>() / n as f64;
    check("product of neighbours", neighbours, 0.0, 1.0);
}

#[test]
fn integers_below_n_are_equally_frequent() {
    let (n, draws) = (113u32, 113_000u64);
    let stream = Stream::new(3, Purpose::LabelNoise);
    let mut counts = vec![0u32; n as usize];
    for i in 0..draws {
        counts[stream.below(i, n) as usize] += 1;
    }
    assert_uniform("below", &counts);
}

#[test]
fn permutations_of_all_small_sizes_are_bijections() {
    for n in 1..=300 {
        for seed in 0..3 {
            assert_bijection(n, epoch_key(seed, 0));
        }
    }
}

#[test]
fn permutations_reach_the_largest_size() {
    let key = epoch_key(0, 0);
    for n in [1 << 31, (1 << 31) + 1, u32::MAX] {
        for index in [0, 1, n / 2, n - 1] {
            assert!(feistel(index, n, key) < n);
        }
    }
}

#[test]
fn all_orders_of_a_few_elements_are_equally_frequent() {
    for n in 2..=6u32 {
        let orders: usize = (1..=n as usize).product();
        let mut counts: HashMap<Vec<u32>, u32> = HashMap::new();
        for epoch in 0..400 * orders as u64 {
            let permutation = Permutation::new(n, epoch_key(1, epoch));
            *counts.entry((0..n).map(|i| permutation.get(i)).collect()).or_default() += 1;
        }
        assert_eq!(counts.len(), orders, "orders of {n} elements that occur");
        assert_uniform(
            &format!("orders of {n} elements"),
            &counts.into_values().collect::<Vec<_>>(),
        );
    }
}

#[test]
fn every_element_is_equally_frequent_at_every_position() {
    for n in [7u32, 16, 33, 64, 97] {
        let mut counts = vec![0u32; (n * n) as usize];
        for epoch in 0..100 * u64::from(n) {
            let permutation = Permutation::new(n, epoch_key(2, epoch));
            for i in 0..n {
                counts[(i * n + permutation.get(i)) as usize] += 1;
            }
        }
        for (i, row) in counts.chunks(n as usize).enumerate() {
            assert_uniform(&format!("position {i} of {n}"), row);
        }
    }
}

#[test]
fn neighbours_are_not_kept_together() {
    // The difference of adjacent entries of a random permutation is uniform over the n - 1 non-zero residues.
    for n in [16u32, 97, 256] {
        let mut counts = vec![0u32; n as usize];
        for epoch in 0..500 {
            let permutation = Permutation::new(n, epoch_key(3, epoch));
            for i in 1..n {
                let difference = (permutation.get(i) + n - permutation.get(i - 1)) % n;
                counts[difference as usize] += 1;
            }
        }
        assert_eq!(counts[0], 0);
        assert_uniform(&format!("differences in {n}"), &counts[1..]);
    }
}

#[test]
fn keys_of_neighbouring_epochs_give_unrelated_orders() {
    let (n, epochs) = (1000u32, 200u64);
    let mut fixed = 0;
    for epoch in 0..epochs {
        let (a, b) = (
            Permutation::new(n, epoch_key(0, epoch)),
            Permutation::new(n, epoch_key(0, epoch + 1)),
        );
        fixed += (0..n).filter(|&i| a.get(i) == b.get(i)).count();
    }
    // On average one coincidence a pair, with variance one.
    let bound = 5.0 * (epochs as f64).sqrt();
    assert!(
        (fixed as f64 - epochs as f64).abs() < bound,
        "{fixed} coincidences in {epochs} pairs"
    );
}

#[test]
fn the_uniformity_check_objects_to_a_bias() {
    let mut counts = vec![1000u32; 100];
    counts[0] = 1300;
    counts[1] = 700;
    assert!(chi_square_z(&counts) > 5.0);
}

proptest! {
    #[test]
    fn permutations_are_bijections(n in 1u32..5000, key in any::<[u32; 4]>()) {
        assert_bijection(n, key);
    }

    #[test]
    fn an_epoch_of_batches_holds_every_sample_once(n in 1u32..200, share in 1u32..200, seed in any::<u64>(), epoch in 0u64..50) {
        let batch = share.min(n);
        let mut seen = vec![0u32; n as usize];
        for entry in epoch * u64::from(n)..(epoch + 1) * u64::from(n) {
            let (t, position) = (entry / u64::from(batch), (entry % u64::from(batch)) as u32);
            seen[batch_index(t, position, batch, n, seed) as usize] += 1;
        }
        prop_assert!(seen.iter().all(|&count| count == 1));
    }
}

fn assert_bijection(n: u32, key: [u32; 4]) {
    let permutation = Permutation::new(n, key);
    let mut seen = vec![false; n as usize];
    for i in 0..n {
        let entry = permutation.get(i) as usize;
        assert!(
            !std::mem::replace(&mut seen[entry], true),
            "{entry} occurs twice, n = {n}, key = {key:?}"
        );
    }
}

/// How far chi-square against equal frequencies lies above its mean, in standard deviations.
fn chi_square_z(counts: &[u32]) -> f64 {
    let total: u32 = counts.iter().sum();
    let expected = f64::from(total) / counts.len() as f64;
    let chi2: f64 = counts
        .iter()
        .map(|&c| (f64::from(c) - expected).powi(2) / expected)
        .sum();
    let freedom = (counts.len() - 1) as f64;
    (chi2 - freedom) / (2.0 * freedom).sqrt()
}

fn assert_uniform(what: &str, counts: &[u32]) {
    // Draws are fixed, so this passes always or never; 6 leaves room for the skew of few degrees of freedom.
    let z = chi_square_z(counts);
    assert!(
        z < 6.0,
        "{what}: chi-square lies {z:.1} standard deviations above its mean: {counts:?}"
    );
}
