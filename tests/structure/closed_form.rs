//! The closed-form solution of Gromov (2301.02679) for a + b mod p with a quadratic MLP: neuron j has the frequency k_j
//! and phases u_j, v_j, weights cos(2 pi k a/p + u) and cos(2 pi k b/p + v) below and cos(2 pi k c/p + u + v) above.

use std::f64::consts::TAU;

use gmatrix::config::{LossKind, MlpInput, TaskOp};
use gmatrix::model::{Activation, Layout, MlpShape, ModelShape};
use gmatrix::structure::logits::{LogitWaves, diversity};
use gmatrix::structure::neurons::key_frequencies;
use gmatrix::structure::{Table, algorithm, population, weights};
use gmatrix::task::{Cyclic, Examples};

use super::oracle::make;

const P: usize = 13;
/// Phases of a frequency, on a grid: the sum over them leaves one wave of the logits alone.
const PHASES: usize = 8;
const KEYS: [usize; 2] = [2, 5];

fn examples() -> Examples {
    let pairs: Vec<(u32, u32)> = (0..P as u32).flat_map(|a| (0..P as u32).map(move |b| (a, b))).collect();
    Examples {
        tokens: pairs.iter().flat_map(|(a, b)| [*a, *b]).collect(),
        labels: pairs.iter().map(|(a, b)| (a + b) % P as u32).collect(),
        n: pairs.len(),
        t: 2,
        ..Examples::default()
    }
}

fn table() -> Table {
    let examples = examples();
    let rows: Vec<u32> = (0..examples.n as u32).collect();
    let (train, test) = rows.split_at(50);
    Table::new(
        Cyclic::new(TaskOp::Add, P as u32).unwrap(),
        &examples.select(train),
        &examples.select(test),
        LossKind::CrossEntropy,
    )
    .unwrap()
}

/// The network, each frequency with its own strength.
fn network(strengths: [f64; 2]) -> (ModelShape, Vec<f64>) {
    let hidden = KEYS.len() * PHASES * PHASES;
    let shape = ModelShape::Mlp(MlpShape {
        input: MlpInput::OneHot,
        d_vocab: P,
        d_model: 0,
        n_ctx: 2,
        hidden: vec![hidden],
        d_vocab_out: P,
        bias: false,
        activation: Activation::Quadratic,
    });
    let layout = Layout::new(&shape);
    let mut weights = vec![0.0; layout.len];
    let (below, above) = (layout.tensor("layers.0.W").clone(), layout.tensor("layers.1.W").clone());
    for (which, (k, strength)) in KEYS.iter().zip(strengths).enumerate() {
        for phases in 0..PHASES * PHASES {
            let neuron = which * PHASES * PHASES + phases;
            let [u, v] = [phases / PHASES, phases % PHASES].map(|j| TAU * j as f64 / PHASES as f64);
            let wave = |x: usize, phase: f64| (TAU * (k * x) as f64 / P as f64 + phase).cos();
            for x in 0..P {
                weights[below.offset + x * below.cols + neuron] = wave(x, u);
                weights[below.offset + (P + x) * below.cols + neuron] = wave(x, v);
                weights[above.offset + neuron * above.cols + x] = strength * wave(x, u + v);
            }
        }
    }
    (shape, weights)
}

#[test]
fn a_quadratic_neuron_has_four_fifths_of_its_variance_at_its_frequency() {
    let (shape, weights) = network([1.0, 1.0]);
    let responses = table().responses(&make, &shape, &weights).unwrap();
    assert_eq!(responses.neurons.len(), KEYS.len() * PHASES * PHASES);
    for (k, neuron) in responses.neurons.iter().enumerate() {
        assert_eq!(neuron.frequency, KEYS[k / (PHASES * PHASES)], "neuron {k}");
        assert!((neuron.purity - 0.8).abs() < 1e-12, "neuron {k}: {}", neuron.purity);
        assert_eq!(neuron.cluster, Some(neuron.frequency));
    }
    assert_eq!(key_frequencies(&responses.neurons), KEYS);
}

#[test]
fn its_logits_are_waves_of_the_sum_alone() {
    let table = table();
    let (shape, weights) = network([1.0, 0.5]);
    let responses = table.responses(&make, &shape, &weights).unwrap();
    // Summed over the phases, (cos + cos)^2 leaves 64/2 cos(w(a + b - c)) for each frequency.
    let height = (PHASES * PHASES) as f64 / 2.0;
    for (place, row) in responses.logits.chunks_exact(P).enumerate() {
        for (c, z) in row.iter().enumerate() {
            let wave = |k: usize| (TAU * (k * (place / P + place % P + P - c)) as f64 / P as f64).cos();
            let expected = height * (wave(KEYS[0]) + 0.5 * wave(KEYS[1]));
            assert!((z - expected).abs() < 1e-10, "{place} {c}: {z}, expected {expected}");
        }
    }
    let waves = LogitWaves::new(&table, &responses);
    let spectrum = waves.spectrum();
    let cosines = waves.cosines();
    let norm = ((P * P * P) as f64 / 2.0).sqrt();
    for k in 1..=P / 2 {
        let (share, strength) = match k {
            2 => (0.8, 1.0),
            5 => (0.2, 0.5),
            _ => (0.0, 0.0),
        };
        assert!((spectrum[k - 1] - share).abs() < 1e-12, "{k}: {}", spectrum[k - 1]);
        let [coefficient, similarity] = cosines[k - 1];
        assert!(
            (coefficient - height * strength * norm).abs() < 1e-9,
            "{k}: {coefficient}"
        );
        assert!((similarity - share.sqrt()).abs() < 1e-12, "{k}: {similarity}");
    }
    let [counted, entropy] = diversity(&spectrum);
    assert_eq!(counted, 2.0);
    assert!((entropy + 0.8 * 0.8f64.ln() + 0.2 * 0.2f64.ln()).abs() < 1e-12);

    // All of the logits is at the key frequencies: restricted is all, excluded is nothing.
    let [loss, accuracy] = waves.restricted(&KEYS);
    assert!(loss < 1e-3 && accuracy == 1.0, "{loss} {accuracy}");
    assert!((waves.excluded(&KEYS) - (P as f64).ln()).abs() < 1e-12);
    assert_eq!(
        algorithm::gradient_symmetricity(&make, &table, &shape, &weights).unwrap(),
        None
    );
    // The correct logit is the same for all pairs but for rounding.
    let correct: Vec<f64> = (0..P * P).map(|i| responses.logits[i * P + table.sum(i)]).collect();
    assert!(correct.iter().all(|z| (z - correct[0]).abs() < 1e-10));
}

#[test]
fn its_weights_are_single_frequencies() {
    let (shape, weights) = network([1.0, 1.0]);
    let group = Cyclic::new(TaskOp::Add, P as u32).unwrap();
    let ratio = weights::inverse_participation(&shape, &weights, &group).unwrap();
    assert!((ratio - 1.0).abs() < 1e-12, "{ratio}");
    let spectrum = weights::spectrum(&weights::embedding(&shape, &weights, &group).unwrap());
    for (k, share) in (1..).zip(&spectrum) {
        let expected = if KEYS.contains(&k) { 0.5 } else { 0.0 };
        assert!((share - expected).abs() < 1e-12, "{k}: {share}");
    }
}

#[test]
fn growth_of_pure_neurons_is_selection_alone() {
    let table = table();
    let neurons = |strengths| {
        let (shape, mut weights) = network(strengths);
        // A neuron with two frequencies is less pure: without one of them purities would not differ.
        let layout = Layout::new(&shape);
        let below = layout.tensor("layers.0.W");
        for x in 0..P {
            weights[below.offset + x * below.cols] += (TAU * (3 * x) as f64 / P as f64).sin();
        }
        table.responses(&make, &shape, &weights).unwrap().neurons
    };
    let (before, after) = (neurons([1.0, 1.0]), neurons([1.0, 2.0]));
    let price = population::of_neurons(&before, &after).unwrap();
    assert!(price.total.change > 0.0);
    assert!(price.total.transmission.abs() < 1e-14, "{}", price.total.transmission);
    assert!((price.total.selection - price.total.change).abs() < 1e-14);
    assert!((price.between + price.within - price.total.selection).abs() < 1e-14);
    assert!(price.identity_error() < 1e-12);
}

#[test]
fn a_constant_neuron_has_no_frequency() {
    let (shape, mut weights) = network([1.0, 1.0]);
    let layout = Layout::new(&shape);
    let below = layout.tensor("layers.0.W");
    for row in 0..2 * P {
        weights[below.offset + row * below.cols] = 0.3;
    }
    let responses = table().responses(&make, &shape, &weights).unwrap();
    assert_eq!((responses.neurons[0].frequency, responses.neurons[0].purity), (0, 0.0));
    assert_eq!(responses.neurons[0].cluster, None);
}
