//! Pressures on a run: what they do to the weights and to what is measured.

use gmatrix::backend::Precision;
use gmatrix::config::{Config, NoiseScale, OptimizerKind, Regions};
use gmatrix::model::Layout;
use gmatrix::trainer::Experiment;

use crate::support::{alone, experiment, mlp, trainer, transformer};

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Weights before the first step, and after each of some steps.
fn course(experiment: &Experiment, steps: usize) -> Vec<Vec<f64>> {
    let mut trainer = trainer(experiment, Precision::F64, 1);
    trainer.fill(0, 0, experiment).unwrap();
    let mut all = vec![trainer.weights(0).unwrap()];
    for _ in 0..steps {
        trainer.run_chunk(1).unwrap();
        all.push(trainer.weights(0).unwrap());
    }
    all
}

fn column(config: &Config, name: &str) -> Vec<f64> {
    let (trace, columns) = alone(&experiment(config), Precision::F64);
    let place = columns.iter().position(|column| column == name).unwrap();
    trace.rows.iter().map(|row| row.values[place]).collect()
}

#[test]
fn the_norm_is_held_at_every_step() {
    for (regions, factor) in [(Regions::Global, 1.0), (Regions::Global, 0.8), (Regions::Tensor, 1.0)] {
        let mut config = transformer();
        config.optimizer.hold_norm = regions;
        config.optimizer.hold_factor = factor.into();
        let experiment = experiment(&config);
        let layout = Layout::new(&experiment.shape);
        let parts: Vec<std::ops::Range<usize>> = match regions {
            Regions::Tensor => layout.tensors.iter().map(|t| t.offset..t.offset + t.len()).collect(),
            _ => std::iter::once(0..layout.len).collect(),
        };
        let course = course(&experiment, 6);
        for weights in &course[1..] {
            for part in &parts {
                let (first, now) = (norm(&course[0][part.clone()]), norm(&weights[part.clone()]));
                // Biases begin at zero, and are free.
                assert_eq!(
                    first == 0.0,
                    regions == Regions::Tensor && part.len() < 21 && first == 0.0
                );
                assert!(
                    first == 0.0 || (now / first - factor).abs() < 1e-12,
                    "{regions:?}: {first} {now}"
                );
            }
        }
        let norms = column(&config, "update_norm");
        for (k, pair) in course.windows(2).enumerate() {
            let change: Vec<f64> = pair[1].iter().zip(&pair[0]).map(|(a, b)| a - b).collect();
            assert!((norms[k] / norm(&change) - 1.0).abs() < 1e-12, "{regions:?} step {k}");
        }
    }
}

/// Gradient descent without decay: the step less the gradient's own is the noise.
#[test]
fn noise_has_its_size_and_is_new_at_every_step() {
    for (scale, noise) in [(NoiseScale::Absolute, 0.3), (NoiseScale::Relative, 2.0)] {
        let mut config = transformer();
        config.optimizer.kind = OptimizerKind::Sgd;
        config.optimizer.weight_decay = 0.0.into();
        config.optimizer.warmup = 0;
        config.optimizer.lr = 1e-3.into();
        config.optimizer.noise_scale = scale;
        let quiet = course(&experiment(&config), 1);
        let gradient: Vec<f64> = quiet[1].iter().zip(&quiet[0]).map(|(a, b)| (b - a) / 1e-3).collect();
        config.optimizer.noise = noise.into();
        let noisy = course(&experiment(&config), 2);
        let draws: Vec<f64> = noisy[1].iter().zip(&quiet[1]).map(|(a, b)| (b - a) / 1e-3).collect();
        let n = draws.len() as f64;
        let sd = match scale {
            NoiseScale::Absolute => noise,
            NoiseScale::Relative => noise * norm(&gradient) / n.sqrt(),
        };
        // Five standard errors of mean, variance and fourth moment of normal draws.
        let moment = |k: i32| draws.iter().map(|x| (x / sd).powi(k)).sum::<f64>() / n;
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (4, 3.0, 96.0)] {
            let error = (moment(k) - expected).abs();
            assert!(
                error < 5.0 * f64::sqrt(variance / n),
                "{scale:?} moment {k}: {}",
                moment(k)
            );
        }
        let second: Vec<f64> = noisy[2].iter().zip(&noisy[1]).map(|(a, b)| (b - a) / 1e-3).collect();
        let cosine = second.iter().zip(&draws).map(|(a, b)| a * b).sum::<f64>() / (norm(&second) * norm(&draws));
        assert!(cosine < 0.5, "{scale:?}: {cosine}");
        config.task.seed += 1;
        assert_ne!(course(&experiment(&config), 1)[1], noisy[1]);
    }
}

#[test]
fn evaluations_and_the_gram_subset_see_all_activations() {
    for mut config in [transformer(), mlp()] {
        config.optimizer.lr = 0.0.into();
        config.optimizer.weight_decay = 0.0.into();
        let of = |config: &Config| {
            ["train_loss", "raw.erank_lambda", "value.test_loss", "batch_loss"].map(|name| column(config, name))
        };
        let whole = of(&config);
        config.model.dropout = 0.3.into();
        let dropped = of(&config);
        for (a, b) in whole[..3].iter().zip(&dropped[..3]) {
            assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
        let batch = &dropped[3];
        assert!(whole[3].windows(2).all(|pair| pair[0] == pair[1]));
        assert!(
            batch.windows(2).all(|pair| pair[0] != pair[1]),
            "a new draw at every step: {batch:?}"
        );
    }
}

#[test]
fn an_l1_pull_makes_weights_small() {
    let mut config = transformer();
    config.optimizer.weight_decay = 0.0.into();
    let sum = |config: &Config| {
        let (trace, _) = alone(&experiment(config), Precision::F64);
        trace.weights.iter().map(|w| w.abs()).sum::<f64>()
    };
    let free = sum(&config);
    config.optimizer.l1 = 1.0.into();
    let pulled = sum(&config);
    assert!(pulled < 0.95 * free, "{pulled} {free}");
}
