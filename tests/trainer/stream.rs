//! Averages over a stream of minibatches, against what they estimate.

use gmatrix::backend::Precision;
use gmatrix::config::{Batch, Config};
use gmatrix::measure::{Request, measure};
use gmatrix::random::{Purpose, Stream};

use crate::support::{alone, experiment, transformer};

const WINDOW: usize = 64;
const WINDOWS: usize = 200;
const BATCH: usize = 8;

/// 97.5 % quantile of Student's t with fifteen degrees of freedom.
const T: f64 = 2.1314;

/// A network that stands still, and sees its 32 samples in batches of 8: sixteen epochs in a window.
fn frozen() -> Config {
    let mut config = transformer();
    config.task.train_fraction = 0.66;
    config.optimizer.batch = Batch::Size(BATCH);
    config.optimizer.lr = 0.0.into();
    config.optimizer.weight_decay = 0.0.into();
    config.train.steps = (WINDOW * WINDOWS + 1) as u32;
    config.train.chunk = 1000;
    config.stats.stream = WINDOW as u32;
    config.stats.scalars_every = (WINDOW as u32).into();
    config.stats.evaluate_every = 1_000_000.into();
    config.stats.gram_every = 0.into();
    config.stats.decompose_every = 0.into();
    config.stats.grams = Vec::new();
    config
}

/// Participation ratio, coherence, noise scale and mean product that batches of this size have on average, each
/// normalised by its own trace.
fn targets(gram: &[f64], n: usize) -> [f64; 4] {
    let draw = Stream::new(1, Purpose::Null);
    let mut sums = [0.0; 5];
    let rounds = 100_000;
    for round in 0..rounds {
        let mut all: Vec<usize> = (0..n).collect();
        for k in 0..BATCH {
            let left = (n - k) as u32;
            all.swap(k, k + draw.below((round * BATCH + k) as u64, left) as usize);
        }
        let at = |i: usize, j: usize| gram[all[i] * n + all[j]];
        let unit = (0..BATCH).map(|i| at(i, i)).sum::<f64>() / BATCH as f64;
        let pairs = (0..BATCH * BATCH)
            .map(|k| (k / BATCH, k % BATCH))
            .filter(|(i, j)| i != j);
        let mut means = [0.0; 3];
        for (i, j) in pairs {
            let share = 1.0 / (BATCH * (BATCH - 1)) as f64;
            means[0] += share * at(i, i) * at(j, j);
            means[1] += share * at(i, j) * at(i, j);
            means[2] += share * at(i, j);
        }
        let terms = [
            means[0] / unit / unit,
            means[1] / unit / unit,
            means[2] / unit,
            1.0 - means[2] / unit,
            means[2],
        ];
        sums.iter_mut()
            .zip(terms)
            .for_each(|(sum, term)| *sum += term / rounds as f64);
    }
    [sums[0] / sums[1], sums[2], sums[3] / sums[2], sums[4]]
}

#[test]
fn stream_intervals_cover_what_batches_have_on_average() {
    let config = frozen();
    let experiment = experiment(&config);
    let train = &experiment.task.train;
    assert_eq!(train.n, 32);
    let (trace, names) = alone(&experiment, Precision::F64);
    let request = Request {
        precision: Precision::F64,
        loss: config.loss.kind,
        properties: Vec::new(),
        group: None,
        spectrum: false,
        gram: true,
        grams: Vec::new(),
        probes: None,
    };
    let gram = measure(&experiment.shape, &trace.weights, train, &request)
        .unwrap()
        .gram
        .unwrap();
    let targets = targets(&gram, train.n);
    let column = |name: &str| names.iter().position(|column| column == name).unwrap();
    let rows: Vec<_> = trace
        .rows
        .iter()
        .filter(|row| row.values[column("stream.steps")] == WINDOW as f64)
        .collect();
    assert_eq!(rows.len(), WINDOWS);
    for (name, target) in ["participation_ratio", "coherence", "noise_scale", "ntcov"]
        .into_iter()
        .zip(targets)
    {
        let (value, error) = (column(&format!("stream.{name}")), column(&format!("stream.{name}_se")));
        let missed = rows.iter().filter(|row| {
            let covers = (row.values[value] - target).abs() <= T * row.values[error];
            !covers
        });
        let missed = missed.count();
        let mean = rows.iter().map(|row| row.values[value]).sum::<f64>() / WINDOWS as f64;
        let spread = rows.iter().map(|row| row.values[error]).sum::<f64>() / WINDOWS as f64;
        println!("{name}: {target} expected, {mean} found, error {spread:.1e}, {missed} of {WINDOWS} missed");
        // Of 200 intervals of 95 % ten should miss; fewer than 1 or more than 21 do at a chance of 1e-3.
        assert!(
            (1..=21).contains(&missed),
            "{name}: {missed} of {WINDOWS} miss {target}"
        );
        assert!(
            spread < 0.2 * target.abs(),
            "{name}: errors of {spread} beside {target}"
        );
    }
    for row in rows {
        assert_eq!(row.values[column("stream.k")], 64.0);
        let erank = row.values[column("stream.erank_sketch")];
        assert!(erank > 1.0 && erank <= BATCH as f64, "{erank}");
    }
}
