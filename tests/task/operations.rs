//! Operations beyond sums and products, parities, noise and sizes of splits.

use std::collections::HashSet;

use gmatrix::Result;
use gmatrix::backend::cpu::CpuExecutor;
use gmatrix::config::{
    Batch, Config, MlpInput, ModelConfig, OptimizerConfig, Prompt, StatsConfig, Stop, TaskConfig, TaskOp, TrainConfig,
};
use gmatrix::task::{Examples, Task};
use gmatrix::trainer::{Experiment, Trainer};
use proptest::prelude::*;

use super::{mlp, table, task};

#[test]
fn quotients_undo_products_and_leave_out_zero() -> Result<()> {
    let p = 7;
    let quotients = table(&Task::new(&task(TaskOp::Div, p, 0.5), &ModelConfig::default())?, 1);
    let pairs: Vec<_> = quotients.iter().map(|&(a, b, _)| (a, b)).collect();
    let expected: Vec<_> = (0..p).flat_map(|a| (1..p).map(move |b| (a, b))).collect();
    assert_eq!(pairs, expected);
    assert!(
        quotients
            .iter()
            .all(|&(a, b, quotient)| quotient < p && quotient * b % p == a)
    );
    Ok(())
}

#[test]
fn forms_of_degree_two_have_their_values() -> Result<()> {
    // Modulo 5, by hand: rows a = 0 to 4, columns b = 0 to 4.
    for (op, expected) in [
        (
            TaskOp::SumSquares,
            [
                0, 1, 4, 4, 1, 1, 2, 0, 0, 2, 4, 0, 3, 3, 0, 4, 0, 3, 3, 0, 1, 2, 0, 0, 2,
            ],
        ),
        (
            TaskOp::Quadratic,
            [
                0, 1, 4, 4, 1, 1, 3, 2, 3, 1, 4, 2, 2, 4, 3, 4, 3, 4, 2, 2, 1, 1, 3, 2, 3,
            ],
        ),
    ] {
        let task = Task::new(&task(op, 5, 0.5), &ModelConfig::default())?;
        let labels: Vec<u32> = table(&task, 1).iter().map(|row| row.2).collect();
        assert_eq!(labels, expected, "{op:?}");
        assert_eq!((task.d_vocab, task.d_vocab_out, task.modulus), (6, 5, Some(5)));
    }
    Ok(())
}

#[test]
fn products_of_permutations_are_those_of_their_matrices() -> Result<()> {
    let task = Task::new(&task(TaskOp::S5, 1, 0.5), &ModelConfig::default())?;
    assert_eq!(
        (task.d_vocab, task.d_vocab_out, task.n_ctx, task.modulus),
        (121, 120, 3, None)
    );
    let products = table(&task, 1);
    assert_eq!(products.len(), 120 * 120);
    // All orders of five things, sorted: their place is their number.
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    for _ in 0..5 {
        orders = orders
            .into_iter()
            .flat_map(|order| {
                let next: Vec<usize> = (0..5).filter(|x| !order.contains(x)).collect();
                next.into_iter().map(move |x| [&order[..], &[x]].concat())
            })
            .collect();
    }
    orders.sort();
    assert_eq!((&orders[0], &orders[1]), (&vec![0, 1, 2, 3, 4], &vec![0, 1, 2, 4, 3]));
    for (a, b, product) in products {
        let after: Vec<usize> = (0..5).map(|i| orders[a as usize][orders[b as usize][i]]).collect();
        assert_eq!(orders[product as usize], after, "{a} after {b}");
    }
    Ok(())
}

#[test]
fn permutations_have_both_prompts_and_a_table_for_an_mlp() -> Result<()> {
    let config = TaskConfig {
        prompt: Prompt::Long,
        ..task(TaskOp::S5, 1, 0.5)
    };
    let long = Task::new(&config, &ModelConfig::default())?;
    assert_eq!((long.n_ctx, long.d_vocab), (4, 122));
    assert!(
        long.train
            .tokens
            .chunks(4)
            .all(|x| x[1] == 121 && x[3] == 120 && x[0] < 120 && x[2] < 120)
    );
    let pairs = Task::new(&config, &mlp(MlpInput::Embedding))?;
    assert_eq!((pairs.n_ctx, pairs.d_vocab), (2, 120));
    assert_eq!(table(&pairs, 1), table(&long, 2));
    Ok(())
}

fn parity(bits: u32, parity: u32, train: usize, test: usize) -> TaskConfig {
    TaskConfig {
        bits,
        parity,
        train_samples: Some(train),
        test_samples: Some(test),
        ..task(TaskOp::Parity, 1, 0.5)
    }
}

#[test]
fn parities_read_the_same_bits_in_every_form() -> Result<()> {
    let config = parity(40, 3, 30, 20);
    let prompt = Task::new(&config, &ModelConfig::default())?;
    assert_eq!((prompt.n_ctx, prompt.d_vocab, prompt.d_vocab_out), (41, 3, 2));
    assert!(
        prompt
            .train
            .tokens
            .chunks(41)
            .all(|x| x[40] == 2 && x[..40].iter().all(|bit| *bit < 2))
    );
    let one_hot = Task::new(&config, &mlp(MlpInput::OneHot))?;
    assert_eq!((one_hot.n_ctx, one_hot.d_vocab), (40, 2));
    let real = Task::new(&config, &mlp(MlpInput::Float))?;
    assert_eq!((real.n_ctx, real.d_vocab, real.train.width), (1, 0, 40));
    for (i, tokens) in prompt.train.tokens.chunks(41).enumerate() {
        assert_eq!(tokens[..40], one_hot.train.tokens[40 * i..][..40]);
        let signs: Vec<f64> = tokens[..40].iter().map(|bit| [-1.0, 1.0][*bit as usize]).collect();
        assert_eq!(signs, real.train.inputs[40 * i..][..40]);
    }
    assert_eq!(prompt.train.labels, real.train.labels);
    assert_ne!(
        Task::new(
            &TaskConfig {
                seed: 1,
                ..config.clone()
            },
            &ModelConfig::default()
        )?
        .train
        .tokens,
        prompt.train.tokens
    );
    Ok(())
}

/// The rows of tokens of a split.
fn rows(examples: &Examples) -> impl Iterator<Item = (Vec<u32>, u32)> {
    let tokens = examples.tokens.chunks(examples.t).map(<[u32]>::to_vec);
    tokens.zip(examples.labels.clone())
}

proptest! {
    #[test]
    fn parities_are_sums_of_the_secret_bits_of_different_strings(
        bits in 4u32..=64, k in 1u32..=4, train in 1usize..=9, test in 1usize..=7, seed in any::<u64>(),
    ) {
        let config = TaskConfig { seed, ..parity(bits, k, train, test) };
        let task = Task::new(&config, &mlp(MlpInput::OneHot)).unwrap();
        prop_assert_eq!((task.train.n, task.test.n, task.secret_bits.len()), (train, test, k as usize));
        let mut seen = HashSet::new();
        for (row, label) in rows(&task.train).chain(rows(&task.test)) {
            let sum: u32 = task.secret_bits.iter().map(|place| row[*place as usize]).sum();
            prop_assert_eq!(sum % 2, label);
            prop_assert!(seen.insert(row));
        }
    }

    #[test]
    fn noise_replaces_the_asked_share_and_says_where(
        p in 2u32..20, noise in 0.0..=1.0f64, seed in any::<u64>(),
    ) {
        let config = TaskConfig { label_noise: noise, seed, ..task(TaskOp::Add, p, 0.7) };
        let task = Task::new(&config, &ModelConfig::default()).unwrap();
        let wrong: Vec<u32> = rows(&task.train)
            .zip(0..)
            .filter(|((row, label), _)| (row[0] + row[1]) % p != *label)
            .map(|(_, place)| place)
            .collect();
        prop_assert_eq!(&wrong, &task.noisy);
        prop_assert_eq!(wrong.len(), (noise * task.train.n as f64) as usize);
        prop_assert!(rows(&task.train).all(|(_, label)| label < p));
        prop_assert!(rows(&task.test).all(|(row, label)| (row[0] + row[1]) % p == label));
    }

    #[test]
    fn asked_numbers_of_examples_are_disjoint_rows(p in 3u32..20, train in 1usize..5, test in 1usize..4, seed: u32) {
        let config = TaskConfig {
            train_samples: Some(train),
            test_samples: Some(test),
            seed: seed.into(),
            ..task(TaskOp::Mul, p, 0.5)
        };
        let task = Task::new(&config, &ModelConfig::default()).unwrap();
        prop_assert_eq!((task.train.n, task.test.n), (train, test));
        let all: HashSet<u32> = task.train_rows.iter().chain(&task.test_rows).copied().collect();
        prop_assert_eq!(all.len(), train + test);
        prop_assert!(task.train_rows.is_sorted() && task.test_rows.is_sorted());
    }
}

#[test]
fn noise_is_uniform_over_the_other_classes() -> Result<()> {
    let config = TaskConfig {
        label_noise: 1.0,
        ..task(TaskOp::Add, 59, 0.9)
    };
    let task = Task::new(&config, &ModelConfig::default())?;
    let mut counts = [0u32; 59];
    for (row, label) in rows(&task.train) {
        counts[((label + 59 - (row[0] + row[1]) % 59) % 59) as usize] += 1;
    }
    assert_eq!(counts[0], 0);
    // 3132 draws of 58 differences: 54 each, chi-square of 57 degrees of freedom.
    let mean = f64::from(counts.iter().sum::<u32>()) / 58.0;
    let chi2: f64 = counts[1..].iter().map(|&c| (f64::from(c) - mean).powi(2) / mean).sum();
    assert!((25.0..110.0).contains(&chi2), "chi-square {chi2}");
    Ok(())
}

/// Losses and training accuracy at the first and the last evaluation of a run without Gram matrices.
fn train(config: Config) -> Result<[[f64; 2]; 2]> {
    let experiment = Experiment::new(&config)?;
    let program = experiment.program()?;
    let executor = CpuExecutor::<f32>::new(program.plan.clone(), 1)?;
    let mut trainer = Trainer::new(program, Box::new(executor), 1);
    trainer.fill(0, 0, &experiment)?;
    let place = |name: &str| trainer.columns().iter().position(|column| column == name).unwrap();
    let places = [place("train_loss"), place("train_accuracy")];
    let mut evaluations = Vec::new();
    while trainer.status(0).is_some_and(|status| status.end.is_none()) {
        let rows = trainer.run_chunk(u64::from(config.train.chunk))?;
        evaluations.extend(
            rows.iter()
                .map(|row| places.map(|place| row.values[place]))
                .filter(|values| !values[0].is_nan()),
        );
    }
    Ok([evaluations[0], evaluations[evaluations.len() - 1]])
}

fn bare(task: TaskConfig, model: ModelConfig, optimizer: OptimizerConfig, steps: u32) -> Config {
    Config {
        task,
        model,
        optimizer,
        train: TrainConfig {
            steps,
            stop: Stop::Never,
            ..TrainConfig::default()
        },
        stats: StatsConfig {
            evaluate_every: (steps - 1).into(),
            gram_every: 0.into(),
            decompose_every: 0.into(),
            ..StatsConfig::default()
        },
        ..Config::default()
    }
}

#[test]
fn a_transformer_learns_products_of_permutations() -> Result<()> {
    let config = bare(
        TaskConfig {
            train_samples: Some(300),
            test_samples: Some(100),
            ..task(TaskOp::S5, 1, 0.5)
        },
        ModelConfig {
            d_model: 32,
            d_mlp: 64,
            ..ModelConfig::default()
        },
        OptimizerConfig::default(),
        200,
    );
    let [first, last] = train(config)?;
    assert!(
        first[1] < 0.1 && last[1] > 0.95 && last[0] < first[0],
        "{first:?} {last:?}"
    );
    Ok(())
}

#[test]
fn an_mlp_learns_a_sparse_parity() -> Result<()> {
    let config = bare(
        parity(12, 2, 500, 200),
        ModelConfig {
            hidden: vec![64],
            bias: true,
            ..mlp(MlpInput::Float)
        },
        OptimizerConfig {
            lr: 1e-2.into(),
            weight_decay: 0.0.into(),
            batch: Batch::Size(100),
            ..OptimizerConfig::default()
        },
        300,
    );
    let [first, last] = train(config)?;
    assert!(first[1] < 0.7 && last[1] > 0.97 && last[0] < 0.2, "{first:?} {last:?}");
    Ok(())
}
