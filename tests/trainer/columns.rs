//! What stands in a row, at which steps, and that it is what `measure` finds.

use gmatrix::backend::Precision;
use gmatrix::config::{Batch, Config, LossKind, OptimizerKind, Samples, Spectrum};
use gmatrix::measure::{Request, measure};
use gmatrix::plan::Segment;
use gmatrix::record::MetricsRow;
use gmatrix::schedule::Cadence;
use gmatrix::stats::{columns, further, stream};
use gmatrix::task::{Examples, gram_subset};
use gmatrix::trainer::Experiment;

use crate::support::{alone, experiment, finish, minibatch, mlp, trainer, transformer};

fn configs() -> [(&'static str, Config); 3] {
    [
        ("transformer", transformer()),
        ("minibatch", minibatch()),
        ("mlp", mlp()),
    ]
}

fn value(row: &MetricsRow, columns: &[String], name: &str) -> f64 {
    row.values[columns.iter().position(|column| column == name).unwrap()]
}

#[test]
fn columns_are_filled_at_their_steps_and_null_elsewhere() {
    for (what, mut config) in configs() {
        config.stats.scalars_every = 2.into();
        let experiment = experiment(&config);
        let (trace, names) = alone(&experiment, Precision::F64);
        let stats = &config.stats;
        let due = |every: Cadence, step: u64| match every {
            Cadence::Every(every) => step.is_multiple_of(every.into()),
            other => panic!("multiples, not {other}"),
        };
        let any = [
            stats.scalars_every,
            stats.evaluate_every,
            stats.gram_every,
            stats.decompose_every,
        ];
        let steps: Vec<u64> = (0..24)
            .filter(|step| any.iter().any(|every| due(*every, *step)))
            .collect();
        assert_eq!(
            trace.rows.iter().map(|row| row.step).collect::<Vec<_>>(),
            steps,
            "{what}"
        );
        let mut segments = columns::names(&stats.properties);
        let further = further::names(&stats.grams, &experiment.shape);
        segments.extend(further.into_iter().map(|name| (name, Segment::Gram)));
        segments.extend(stream::COLUMNS.map(|name| (name.to_owned(), Segment::Step)));
        assert_eq!(segments.len(), names.len());
        for row in &trace.rows {
            for ((name, segment), found) in segments.iter().zip(&row.values) {
                // A mean product that is not above zero divides nothing.
                if name.starts_with("stream.noise_scale") && due(stats.stream.into(), row.step) {
                    continue;
                }
                let expected = match segment {
                    Segment::Scalars => due(stats.scalars_every, row.step),
                    Segment::Evaluate => due(stats.evaluate_every, row.step),
                    Segment::Gram if name.starts_with("preconditioned") => {
                        due(stats.gram_every, row.step) && row.step > 0
                    }
                    Segment::Gram => due(stats.gram_every, row.step),
                    Segment::Measure if name.contains("decay_lagged") && !config.optimizer.kind.remembers_decay() => {
                        false
                    }
                    Segment::Measure => due(stats.decompose_every, row.step),
                    Segment::Step if name.starts_with("stream.") => due(stats.stream.into(), row.step) && row.step > 0,
                    // Cosines with what came before need something before.
                    _ => row.step > 0 || !name.ends_with("_cosine"),
                };
                let what = format!("{what} step {} {name}: {found}", row.step);
                assert_eq!(!found.is_nan(), expected, "{what}");
                assert!(!found.is_infinite(), "{what}");
            }
        }
    }
}

#[test]
fn nothing_is_measured_where_nothing_is_asked_for() {
    let mut config = transformer();
    config.stats.gram_every = 0.into();
    config.stats.decompose_every = 0.into();
    let (trace, names) = alone(&experiment(&config), Precision::F64);
    for row in &trace.rows {
        assert!(value(row, &names, "raw.rank").is_nan() && value(row, &names, "predicted.train_loss").is_nan());
        assert!(value(row, &names, "coherence").is_finite());
    }
}

/// Columns that need a spectrum.
fn is_spectral(name: &str) -> bool {
    let spectral = [
        "rank",
        "negative_eigenvalues",
        "erank_sigma",
        "erank_lambda",
        "stable_rank",
    ];
    name.split_once('.').is_some_and(|(_, end)| spectral.contains(&end))
}

#[test]
fn streamed_gram_columns_are_those_of_the_stored_matrix() {
    for (what, config) in configs() {
        // More than one tile's side, and a last tile that is not full.
        let mut config = config;
        config.task.p = 13;
        config.task.train_fraction = 0.9;
        config.stats.samples = Samples::All;
        config.train.steps = 9;
        let mut streamed = config.clone();
        streamed.stats.spectrum = Spectrum::Off;
        let (stored, names) = alone(&experiment(&config), Precision::F64);
        let (streamed, _) = alone(&experiment(&streamed), Precision::F64);
        assert_eq!(stored.weights, streamed.weights, "{what}");
        let mut compared = 0;
        for (a, b) in stored.rows.iter().zip(&streamed.rows) {
            // Centring cancels digits of the sums, more of them where it is done after summing.
            let condition = value(a, &names, "centring_condition");
            for (place, (name, segment)) in columns::FIXED.iter().enumerate() {
                if *segment != Segment::Gram || a.step % 4 != 0 {
                    continue;
                }
                let (x, y) = (a.values[place], b.values[place]);
                if is_spectral(name) {
                    assert!(x.is_finite() && y.is_nan(), "{what} {name}: {x} and {y}");
                    continue;
                }
                compared += 1;
                let digits = if name.starts_with("centr") {
                    condition.powi(2)
                } else {
                    1.0
                };
                let scale = if name.ends_with("_cosine") { 1.0 } else { x.abs() };
                assert!(
                    (x - y).abs() <= 1e-12 * scale * digits,
                    "{what} step {} {name}: {x} and {y}",
                    a.step
                );
            }
        }
        assert!(compared >= 3 * 15, "{what}: {compared}");
    }
}

fn request(experiment: &Experiment) -> Request {
    Request {
        precision: Precision::F64,
        loss: experiment.config.loss.kind,
        properties: Vec::new(),
        group: None,
        spectrum: true,
        gram: false,
        grams: Vec::new(),
        probes: None,
    }
}

/// Fails unless the columns of these segments are what `measure` finds.
fn compare(experiment: &Experiment, weights: &[f64], examples: &Examples, row: &MetricsRow, pairs: &[(&str, &str)]) {
    let found = measure(&experiment.shape, weights, examples, &request(experiment))
        .unwrap()
        .scalars;
    let names: Vec<String> = columns::FIXED.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (column, key) in pairs {
        let (x, y) = (value(row, &names, column), found[*key]);
        // Eigenvalues near the threshold may fall on either side: `measure` forms K in other bands.
        let same = y.is_some_and(|y| (x - y).abs() <= 1e-11 * y.abs().max(1e-3));
        assert!(same, "step {} {column}: {x}, measure says {y:?}", row.step);
    }
}

#[test]
fn training_measures_what_measure_measures() {
    for (what, config) in configs() {
        let experiment = experiment(&config);
        let train = &experiment.task.train;
        let subset = train.select(&gram_subset(train.n, 10, config.task.seed));
        let of = |segment: Segment| -> Vec<(&str, &str)> {
            let fixed = columns::FIXED.iter().filter(|(_, s)| *s == segment);
            fixed.map(|(name, _)| (*name, *name)).collect()
        };
        let mut trainer = trainer(&experiment, Precision::F64, 1);
        trainer.fill(0, 0, &experiment).unwrap();
        for step in 0..13 {
            let before = trainer.weights(0).unwrap();
            let row = trainer.run_chunk(1).unwrap().remove(0);
            let check = |examples: &Examples, pairs: &[(&str, &str)]| {
                compare(&experiment, &before, examples, &row, pairs);
            };
            if step % 4 == 0 {
                check(&subset, &of(Segment::Gram));
            }
            if step % 3 == 0 {
                check(train, &[("train_loss", "loss"), ("train_accuracy", "accuracy")]);
                check(
                    &experiment.task.test,
                    &[("test_loss", "loss"), ("test_accuracy", "accuracy")],
                );
            }
            let batch = match config.optimizer.batch {
                Batch::Full => train.clone(),
                Batch::Size(size) => {
                    let index =
                        |k| gmatrix::random::batch_index(step, k, size as u32, train.n as u32, config.task.seed);
                    train.select(&(0..size as u32).map(index).collect::<Vec<_>>())
                }
            };
            check(&batch, &of(Segment::Scalars));
            check(
                &batch,
                &[
                    ("batch_loss", "loss"),
                    ("gradient_norm", "gradient_norm"),
                    ("weight_norm", "weight_norm"),
                ],
            );
        }
        println!("{what}");
    }
}

/// More samples than one pass evaluates: losses, accuracies and properties are summed over bands.
#[test]
fn bands_of_samples_are_summed() {
    let mut config = mlp();
    config.task.p = 47;
    config.task.train_fraction = 0.95;
    config.loss.kind = LossKind::CrossEntropy;
    config.train.steps = 1;
    config.stats.gram_every = 0.into();
    config.stats.decompose_every = 1.into();
    config.stats.properties = ["train_loss", "mean_log_odds_train", "half_norm2"]
        .map(str::to_owned)
        .to_vec();
    let experiment = experiment(&config);
    assert!(experiment.task.train.n > gmatrix::data::BAND);
    let mut trainer = trainer(&experiment, Precision::F64, 1);
    trainer.fill(0, 0, &experiment).unwrap();
    let before = trainer.weights(0).unwrap();
    let row = finish(&mut trainer, 1).remove(0);
    let names = trainer.columns().to_vec();
    let examples = &experiment.task.train;
    let properties = vec!["loss".parse().unwrap(), "half_norm2".parse().unwrap()];
    let mut request = request(&experiment);
    request.spectrum = false;
    request.properties = properties;
    let found = measure(&experiment.shape, &before, examples, &request).unwrap();
    let loss = found.scalars["loss"].unwrap();
    let close = |name: &str, expected: f64| {
        let x = value(&row, &names, name);
        assert!(
            (x - expected).abs() <= 1e-12 * expected.abs(),
            "{name}: {x}, expected {expected}"
        );
    };
    close("train_loss", loss);
    close("train_accuracy", found.scalars["accuracy"].unwrap());
    close("batch_loss", loss);
    close("value.train_loss", loss);
    let ntcov = found.ntcov.unwrap().1;
    close("ntcov.train_loss.train_loss", ntcov[0][0]);
    close("ntcov.half_norm2.train_loss", ntcov[1][0]);
    let odds = -found.losses.iter().map(|l| l.exp_m1().ln()).sum::<f64>() / examples.n as f64;
    close("value.mean_log_odds_train", odds);
}

/// One sample has no spread: what would be divided by n - 1 is null, not infinite.
#[test]
fn a_batch_of_one_has_no_noise() {
    let mut config = minibatch();
    config.optimizer.batch = Batch::Size(1);
    config.optimizer.kind = OptimizerKind::Sgd;
    config.stats.samples = Samples::Count(1);
    let (trace, names) = alone(&experiment(&config), Precision::F32);
    for row in &trace.rows {
        for name in [
            "coherence_unbiased",
            "noise_trace",
            "noise_g2",
            "mean_cosine",
            "min_cosine",
        ] {
            let x = value(row, &names, name);
            assert!(x.is_nan(), "step {} {name}: {x}", row.step);
        }
        assert!((value(row, &names, "coherence") - 1.0).abs() < 1e-5);
        assert!(row.values.iter().all(|x| !x.is_infinite()), "{row:?}");
    }
}
