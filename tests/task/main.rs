//! Tasks: tables, prompts, splits, controls and data files.

mod groups;
mod images;
mod operations;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use gmatrix::config::{Files, MlpInput, ModelConfig, ModelKind, Prompt, TaskConfig, TaskOp};
use gmatrix::model::ModelShape;
use gmatrix::task::{Examples, Task, gram_subset};
use gmatrix::{ErrorKind, Result};
use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};

fn task(op: TaskOp, p: u32, fraction: f64) -> TaskConfig {
    TaskConfig {
        op,
        p,
        train_fraction: fraction,
        ..TaskConfig::default()
    }
}

fn mlp(input: MlpInput) -> ModelConfig {
    ModelConfig {
        kind: ModelKind::Mlp,
        input,
        ..ModelConfig::default()
    }
}

/// (a, b, label) of all examples of both splits, in the order of their rows.
fn table(task: &Task, b_at: usize) -> Vec<(u32, u32, u32)> {
    let mut rows: Vec<(u32, (u32, u32, u32))> = Vec::new();
    for (split, indices) in [(&task.train, &task.train_rows), (&task.test, &task.test_rows)] {
        for (i, &row) in indices.iter().enumerate() {
            let tokens = &split.tokens[i * split.t..][..split.t];
            rows.push((row, (tokens[0], tokens[b_at], split.labels[i])));
        }
    }
    rows.sort_unstable();
    rows.into_iter().map(|(_, example)| example).collect()
}

#[test]
fn tables_hold_every_pair_with_its_label() -> Result<()> {
    let p = 7;
    for (op, label) in [
        (TaskOp::Add, (|a, b, p| (a + b) % p) as fn(u32, u32, u32) -> u32),
        (TaskOp::Sub, |a, b, p| (a + p - b) % p),
        (TaskOp::Mul, |a, b, p| a * b % p),
    ] {
        let task = Task::new(&task(op, p, 0.5), &ModelConfig::default())?;
        let expected: Vec<_> = (0..p)
            .flat_map(|a| (0..p).map(move |b| (a, b, label(a, b, p))))
            .collect();
        assert_eq!(table(&task, 1), expected, "{op:?}");
        assert_eq!((task.d_vocab_out, task.modulus), (7, Some(7)));
    }
    Ok(())
}

#[test]
fn prompts_end_in_an_equals_sign_and_an_mlp_sees_the_operands() -> Result<()> {
    let mut config = task(TaskOp::Add, 5, 0.5);
    let short = Task::new(&config, &ModelConfig::default())?;
    assert_eq!((short.n_ctx, short.d_vocab), (3, 6));
    assert!(short.train.tokens.chunks(3).all(|x| x[0] < 5 && x[1] < 5 && x[2] == 5));
    config.prompt = Prompt::Long;
    let long = Task::new(&config, &ModelConfig::default())?;
    assert_eq!((long.n_ctx, long.d_vocab), (4, 7));
    assert!(long.train.tokens.chunks(4).all(|x| x[1] == 6 && x[2] < 5 && x[3] == 5));
    assert_eq!(table(&long, 2), table(&short, 1));
    let pairs = Task::new(&config, &mlp(MlpInput::OneHot))?;
    assert_eq!((pairs.n_ctx, pairs.d_vocab, pairs.d_vocab_out), (2, 5, 5));
    assert_eq!(table(&pairs, 1), table(&short, 1));
    Ok(())
}

#[test]
fn splits_have_the_asked_size_and_depend_on_the_seed_alone() -> Result<()> {
    let config = task(TaskOp::Add, 113, 0.3);
    let first = Task::new(&config, &ModelConfig::default())?;
    assert_eq!((first.train.n, first.test.n), (3830, 12769 - 3830));
    let mut sorted = first.train_rows.clone();
    sorted.sort_unstable();
    assert_eq!(first.train_rows, sorted);
    assert_eq!(first, Task::new(&config, &ModelConfig::default())?);

    let other = Task::new(
        &TaskConfig {
            seed: 1,
            ..config.clone()
        },
        &ModelConfig::default(),
    )?;
    let rows: HashSet<u32> = first.train_rows.iter().copied().collect();
    let shared = other.train_rows.iter().filter(|row| rows.contains(row)).count() as f64;
    // Hypergeometric: mean n^2 / N, variance n^2 (N - n)^2 / (N^2 (N - 1)).
    let (n, total) = (3830.0f64, 12769.0f64);
    let sd = (n * n * (total - n).powi(2) / (total * total * (total - 1.0))).sqrt();
    assert!((shared - n * n / total).abs() < 5.0 * sd, "{shared} shared rows");

    // The operation plays no part, so tasks can be compared on the same pairs.
    let product = Task::new(
        &TaskConfig {
            op: TaskOp::Mul,
            ..config
        },
        &ModelConfig::default(),
    )?;
    assert_eq!(product.train_rows, first.train_rows);
    Ok(())
}

#[test]
fn random_labels_are_uniform_and_belong_to_the_row() -> Result<()> {
    let mut config = task(TaskOp::Add, 59, 0.5);
    config.random_labels = true;
    let half = Task::new(&config, &ModelConfig::default())?;
    config.train_fraction = 0.2;
    let fifth = Task::new(&config, &ModelConfig::default())?;
    assert_eq!(table(&half, 1), table(&fifth, 1));
    let labels: Vec<u32> = table(&half, 1).iter().map(|x| x.2).collect();
    let kept = table(&half, 1)
        .iter()
        .filter(|(a, b, label)| (a + b) % 59 == *label)
        .count();
    assert!(
        (25..=100).contains(&kept),
        "{kept} of 3481 labels unchanged, expected about 59"
    );
    assert!((0..59).all(|class| labels.contains(&class)));
    Ok(())
}

#[test]
fn wrong_tasks_are_refused_in_one_line() {
    let cases = [
        (task(TaskOp::Add, 1, 0.5), "task.p = 1"),
        (task(TaskOp::Add, 60_000, 0.5), "task.p = 60000"),
        (task(TaskOp::Add, 5, 0.0), "task.train_fraction = 0"),
        (task(TaskOp::Add, 5, f64::NAN), "task.train_fraction = NaN"),
        (task(TaskOp::Add, 5, 0.01), "leaves 0 of 25 examples to train on"),
        (task(TaskOp::File, 5, 0.5), "needs task.file"),
        (
            TaskConfig {
                file: Files::from("x"),
                ..task(TaskOp::Add, 5, 0.5)
            },
            "task.file = \"x\"",
        ),
    ];
    for (config, expected) in cases {
        let error = Task::new(&config, &ModelConfig::default()).expect_err(expected);
        assert!(matches!(error.kind(), ErrorKind::Config(_)), "{error}");
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn shapes_follow_the_task_and_refuse_inputs_that_do_not_suit() -> Result<()> {
    let task = Task::new(&task(TaskOp::Add, 7, 0.5), &mlp(MlpInput::OneHot))?;
    let ModelShape::Mlp(shape) = ModelShape::from_config(&mlp(MlpInput::OneHot), &task)? else {
        panic!("expected an MLP");
    };
    assert_eq!((shape.d_in(), shape.d_model, shape.d_vocab_out), (14, 0, 7));
    let error = ModelShape::from_config(&mlp(MlpInput::Float), &task).expect_err("tokens");
    assert!(error.to_string().contains("model.input"), "{error}");
    let huge = ModelConfig {
        hidden: vec![usize::MAX],
        ..mlp(MlpInput::OneHot)
    };
    let error = ModelShape::from_config(&huge, &task).expect_err("too large");
    assert!(error.to_string().contains("hidden ="), "{error}");
    Ok(())
}

#[test]
fn gram_subsets_are_fixed_sorted_and_seeded() {
    let subset = gram_subset(1740, 512, 0);
    assert_eq!(subset.len(), 512);
    assert!(subset.windows(2).all(|w| w[0] < w[1]) && subset[511] < 1740);
    assert_eq!(subset, gram_subset(1740, 512, 0));
    assert_ne!(subset, gram_subset(1740, 512, 1));
    assert_eq!(gram_subset(5, 512, 0), [0, 1, 2, 3, 4]);
    assert_eq!(gram_subset(5, 5, 0), [0, 1, 2, 3, 4]);
}

/// Tensors as (name, type, shape, bytes).
type Raw = Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>;

fn write(dir: &Path, tensors: &Raw) -> PathBuf {
    let path = dir.join("data.safetensors");
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.clone(), bytes).expect("consistent tensor"),
        )
    });
    std::fs::write(&path, safetensors::serialize(views, None).expect("serialisable")).expect("writable");
    path
}

fn i64s(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn files_of_any_integer_type_are_read_and_learnt_from() -> Result<()> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let raw: Raw = vec![
        ("tokens", Dtype::U8, vec![4, 2], vec![0, 1, 2, 3, 4, 9, 6, 7]),
        ("labels", Dtype::I64, vec![4], i64s(&[0, 1, 2, 1])),
    ];
    let path = write(dir.path(), &raw);
    let examples = Examples::read(&path)?;
    assert_eq!((examples.n, examples.t, examples.width), (4, 2, 0));
    assert_eq!((examples.d_vocab(), examples.classes()), (10, 3));
    let config = TaskConfig {
        file: Files::from(path.display().to_string()),
        ..task(TaskOp::File, 0, 0.5)
    };
    let task = Task::new(&config, &ModelConfig::default())?;
    assert_eq!(
        (task.train.n, task.test.n, task.d_vocab, task.d_vocab_out),
        (2, 2, 10, 3)
    );
    let mut labels = [task.train.labels.clone(), task.test.labels.clone()].concat();
    labels.sort_unstable();
    assert_eq!(labels, [0, 1, 1, 2]);
    Ok(())
}

#[test]
fn files_of_real_vectors_make_float_mlps() -> Result<()> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let raw: Raw = vec![
        ("inputs", Dtype::F32, vec![2, 3], f32s(&[0.0, 1.5, -2.0, 3.0, 4.0, 5.0])),
        ("labels", Dtype::U8, vec![2], vec![1, 0]),
    ];
    let path = write(dir.path(), &raw);
    let config = TaskConfig {
        file: Files::from(path.display().to_string()),
        ..task(TaskOp::File, 0, 0.5)
    };
    let task = Task::new(&config, &mlp(MlpInput::Float))?;
    assert_eq!((task.n_ctx, task.d_vocab, task.train.width), (1, 0, 3));
    let shape = ModelShape::from_config(&mlp(MlpInput::Float), &task)?;
    assert_eq!(shape.input_width(), Some(3));
    task.train.check_against(&shape, &path)?;
    let error = ModelShape::from_config(&ModelConfig::default(), &task).expect_err("a transformer");
    assert!(error.to_string().contains("model.kind"), "{error}");
    Ok(())
}

#[test]
fn bad_files_are_refused_by_name_and_tensor() {
    let tokens = || ("tokens", Dtype::I64, vec![2, 2], i64s(&[0, 1, 2, 3]));
    let labels = || ("labels", Dtype::I64, vec![2], i64s(&[0, 1]));
    let inputs = |x: f32| ("inputs", Dtype::F32, vec![2, 1], f32s(&[0.0, x]));
    let cases: Vec<(Raw, &str)> = vec![
        (vec![tokens()], "no tensor labels"),
        (vec![labels()], "no tensor tokens [N, T] or inputs [N, d]"),
        (vec![tokens(), inputs(1.0), labels()], "both tokens and inputs"),
        (vec![inputs(f32::NAN), labels()], "inputs[1, 0] is NaN"),
        (
            vec![tokens(), ("labels", Dtype::I64, vec![2], i64s(&[0, -1]))],
            "labels[1] is -1",
        ),
        (
            vec![tokens(), ("labels", Dtype::F32, vec![2], f32s(&[0.0, 1.0]))],
            "labels is F32, expected integers",
        ),
        (
            vec![tokens(), ("labels", Dtype::I64, vec![3], i64s(&[0, 1, 2]))],
            "2 rows of tokens but 3 labels",
        ),
        (
            vec![("tokens", Dtype::I64, vec![4], i64s(&[0, 1, 2, 3])), labels()],
            "tokens has shape [4], expected [N, T]",
        ),
        (
            vec![
                ("tokens", Dtype::I64, vec![0, 2], vec![]),
                ("labels", Dtype::I64, vec![0], vec![]),
            ],
            "tokens has shape [0, 2]",
        ),
    ];
    let dir = tempfile::tempdir().expect("temporary directory");
    for (raw, expected) in cases {
        let message = Examples::read(write(dir.path(), &raw)).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}, expected {expected}");
        assert!(
            message.contains("data.safetensors: ") && !message.contains('\n'),
            "{message}"
        );
    }
    let absent = Examples::read(dir.path().join("absent")).expect_err("no such file");
    assert!(absent.to_string().contains("absent: "), "{absent}");
}

#[test]
fn examples_out_of_a_networks_range_are_refused() -> Result<()> {
    let task = Task::new(&task(TaskOp::Add, 5, 0.5), &mlp(MlpInput::OneHot))?;
    let shape = ModelShape::from_config(&mlp(MlpInput::OneHot), &task)?;
    task.test.check_against(&shape, "d")?;
    let refused = |change: fn(&mut Examples), expected: &str| {
        let mut examples = task.train.clone();
        change(&mut examples);
        let message = examples.check_against(&shape, "d").expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    };
    refused(|e| e.tokens[3] = 5, "tokens[1, 1] is 5, the network's vocabulary has 5");
    refused(|e| e.labels[2] = 5, "labels[2] is 5, the network has 5 classes");
    refused(|e| e.t = 1, "tokens have 1 columns, the network takes 2");
    refused(|e| e.width = 4, "real inputs");
    Ok(())
}

proptest! {
    #[test]
    fn splits_partition_the_table(p in 2u32..40, fraction in 0.0..1.0f64, seed in any::<u64>()) {
        let config = TaskConfig { seed, ..task(TaskOp::Add, p, fraction) };
        let Ok(task) = Task::new(&config, &ModelConfig::default()) else {
            let n_train = (fraction * f64::from(p * p)).floor();
            prop_assert!(n_train == 0.0 || n_train == f64::from(p * p));
            return Ok(());
        };
        let mut rows = [task.train_rows.clone(), task.test_rows.clone()].concat();
        rows.sort_unstable();
        prop_assert_eq!(rows, (0..p * p).collect::<Vec<_>>());
        prop_assert_eq!(task.train.n, (fraction * f64::from(p * p)) as usize);
    }
}
