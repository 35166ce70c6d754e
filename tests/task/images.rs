//! Images in the formats of MNIST and CIFAR, and test examples in files of their own.

use std::fs;
use std::path::Path;

use gmatrix::config::{Files, MlpInput, ModelConfig, TaskConfig, TaskOp};
use gmatrix::model::ModelShape;
use gmatrix::task::Task;
use gmatrix::{ErrorKind, Result};
use safetensors::Dtype;

use super::{Raw, i64s, mlp, task, write};

/// An IDX file of unsigned bytes.
fn idx(axes: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, axes.len() as u8];
    bytes.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

/// Writes files and names them.
fn files<const N: usize>(dir: &Path, named: [(&str, Vec<u8>); N]) -> Files {
    let paths = named.map(|(name, bytes)| {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    });
    Files(paths.to_vec())
}

fn refusal(config: &TaskConfig) -> String {
    let error = Task::new(config, &mlp(MlpInput::Float)).expect_err("a bad file");
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    assert!(
        matches!(error.kind(), ErrorKind::Io { .. } | ErrorKind::Config(_)),
        "{message}"
    );
    message
}

#[test]
fn idx_images_become_numbers_from_0_to_1() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let config = TaskConfig {
        file: files(
            dir.path(),
            [
                ("images", idx(&[3, 2, 2], &[0, 255, 51, 102, 1, 2, 3, 4, 5, 6, 7, 8])),
                ("labels", idx(&[3], &[9, 0, 4])),
            ],
        ),
        test_file: files(
            dir.path(),
            [
                ("test-images", idx(&[1, 2, 2], &[255, 0, 0, 0])),
                ("test-labels", idx(&[1], &[3])),
            ],
        ),
        ..task(TaskOp::Idx, 1, 0.5)
    };
    let task = Task::new(&config, &mlp(MlpInput::Float))?;
    assert_eq!(
        (task.train.n, task.train.width, task.d_vocab_out, task.n_ctx),
        (3, 4, 10, 1)
    );
    assert_eq!(task.train.inputs[..4], [0.0, 1.0, 0.2, 0.4]);
    assert_eq!(task.train.labels, [9, 0, 4]);
    assert_eq!(
        (task.test.inputs.as_slice(), task.test.labels.as_slice()),
        (&[1.0, 0.0, 0.0, 0.0][..], &[3][..])
    );
    let shape = ModelShape::from_config(&mlp(MlpInput::Float), &task)?;
    assert_eq!((shape.input_width(), shape.classes()), (Some(4), 10));

    // Without a test file the images are split; so many of them can be asked for.
    let split = TaskConfig {
        test_file: Files::default(),
        train_samples: Some(1),
        test_samples: Some(1),
        ..config.clone()
    };
    let task = Task::new(&split, &mlp(MlpInput::Float))?;
    assert_eq!((task.train.n, task.test.n), (1, 1));
    assert_ne!(task.train_rows, task.test_rows);
    let subset = TaskConfig {
        train_samples: Some(2),
        ..config.clone()
    };
    let task = Task::new(&subset, &mlp(MlpInput::Float))?;
    assert_eq!((task.train.n, task.test.n), (2, 1));
    let first = task.train_rows[0] as usize;
    assert_eq!(task.train.labels[0], [9, 0, 4][first]);
    assert!(
        refusal(&TaskConfig {
            train_samples: Some(4),
            ..config
        })
        .contains("task.train_samples = 4, expected at most the 3 examples of the file")
    );
    Ok(())
}

#[test]
fn bad_idx_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let images = || idx(&[2, 1, 2], &[1, 2, 3, 4]);
    let labels = || idx(&[2], &[0, 1]);
    for (images, labels, expected) in [
        (labels(), labels(), "images: begins with 00000801, expected 00000803"),
        (images(), images(), "labels: begins with 00000803, expected 00000801"),
        (vec![0, 0], labels(), "images: begins with 0000, expected 00000803"),
        (
            vec![0x1f, 0x8b, 8, 0],
            labels(),
            "images: is compressed by gzip, expected the unpacked file",
        ),
        (
            images()[..10].to_vec(),
            labels(),
            "images: ends after 10 bytes, within its header of 16",
        ),
        (
            images()[..19].to_vec(),
            labels(),
            "images: has 3 bytes behind its header, expected those of [2, 1, 2]",
        ),
        (
            images(),
            [labels(), vec![0]].concat(),
            "labels: has 3 bytes behind its header, expected those of [2]",
        ),
        (images(), idx(&[3], &[0, 1, 2]), "labels: has 3 labels, but"),
        (
            idx(&[0, 1, 2], &[]),
            idx(&[0], &[]),
            "images: has 0 images of 1 x 2 pixels",
        ),
        (
            idx(&[u32::MAX; 3], &[1]),
            labels(),
            "images: has 1 bytes behind its header",
        ),
    ] {
        let config = TaskConfig {
            file: files(dir.path(), [("images", images), ("labels", labels)]),
            ..task(TaskOp::Idx, 1, 0.5)
        };
        let message = refusal(&config);
        assert!(message.contains(expected), "{message}, expected {expected}");
    }
}

/// A CIFAR record of these labels whose first pixels are these.
fn record(labels: &[u8], first: [u8; 2]) -> Vec<u8> {
    let mut bytes = labels.to_vec();
    bytes.extend(first);
    bytes.resize(labels.len() + 3072, 0);
    bytes
}

#[test]
fn cifar_batches_are_read_one_behind_the_other() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let config = TaskConfig {
        file: files(
            dir.path(),
            [
                ("1.bin", [record(&[7], [255, 0]), record(&[1], [51, 0])].concat()),
                ("2.bin", record(&[2], [0, 102])),
            ],
        ),
        test_file: files(dir.path(), [("test.bin", record(&[0], [1, 1]))]),
        ..task(TaskOp::Cifar10, 1, 0.5)
    };
    let ten = Task::new(&config, &mlp(MlpInput::Float))?;
    assert_eq!(
        (ten.train.n, ten.train.width, ten.d_vocab_out, ten.test.n),
        (3, 3072, 10, 1)
    );
    assert_eq!(ten.train.labels, [7, 1, 2]);
    let firsts: Vec<&[f64]> = ten.train.inputs.chunks(3072).map(|image| &image[..2]).collect();
    assert_eq!(firsts, [[1.0, 0.0], [0.2, 0.0], [0.0, 0.4]]);

    let hundred = TaskConfig {
        file: files(
            dir.path(),
            [(
                "train.bin",
                [record(&[3, 99], [255, 0]), record(&[0, 5], [0, 0])].concat(),
            )],
        ),
        test_file: Files::default(),
        ..task(TaskOp::Cifar100, 1, 0.5)
    };
    let task = Task::new(&hundred, &mlp(MlpInput::Float))?;
    let mut labels = [task.train.labels, task.test.labels].concat();
    labels.sort_unstable();
    assert_eq!((labels, task.d_vocab_out), (vec![5, 99], 100));
    Ok(())
}

#[test]
fn bad_cifar_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for (op, bytes, expected) in [
        (
            TaskOp::Cifar10,
            vec![],
            "b.bin: has 0 bytes, expected a multiple of 3073, the length of a cifar10 record",
        ),
        (
            TaskOp::Cifar10,
            record(&[1, 1], [0, 0]),
            "b.bin: has 3074 bytes, expected a multiple of 3073",
        ),
        (
            TaskOp::Cifar100,
            record(&[1], [0, 0]),
            "b.bin: has 3073 bytes, expected a multiple of 3074",
        ),
        (
            TaskOp::Cifar10,
            [record(&[9], [0, 0]), record(&[10], [0, 0])].concat(),
            "b.bin: record 1 has label 10, expected below 10",
        ),
        (
            TaskOp::Cifar100,
            record(&[0, 100], [0, 0]),
            "b.bin: record 0 has label 100, expected below 100",
        ),
    ] {
        let config = TaskConfig {
            file: files(dir.path(), [("b.bin", bytes)]),
            ..task(op, 1, 0.5)
        };
        let message = refusal(&config);
        assert!(message.contains(expected), "{message}, expected {expected}");
    }
}

#[test]
fn test_examples_may_have_a_file_of_their_own() -> Result<()> {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tensors = |tokens: &[i64], columns: usize, labels: &[i64]| -> Raw {
        vec![
            ("tokens", Dtype::I64, vec![labels.len(), columns], i64s(tokens)),
            ("labels", Dtype::I64, vec![labels.len()], i64s(labels)),
        ]
    };
    let train = write(dir.path(), &tensors(&[0, 1, 2, 3], 2, &[0, 1]));
    let test = write(other.path(), &tensors(&[5, 1], 2, &[4]));
    let config = TaskConfig {
        file: Files::from(train.display().to_string()),
        test_file: Files::from(test.display().to_string()),
        ..task(TaskOp::File, 1, 0.5)
    };
    let task = Task::new(&config, &ModelConfig::default())?;
    assert_eq!(
        (task.train.n, task.test.n, task.d_vocab, task.d_vocab_out),
        (2, 1, 6, 5)
    );
    assert_eq!(task.test.tokens, [5, 1]);
    write(other.path(), &tensors(&[5, 1, 2], 3, &[4]));
    let message = refusal(&config);
    assert!(
        message.contains("has 3 columns of tokens, expected 2 columns of tokens as task.file has"),
        "{message}"
    );
    Ok(())
}
