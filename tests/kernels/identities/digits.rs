//! The digits of the losses: the accurate one has all of them at every gap, the naive one those of PyTorch.

use std::path::Path;

use gmatrix::backend::Precision;
use gmatrix::plan::Kernel;
use safetensors::SafeTensors;

use crate::backends::Backend;
use crate::case::{numbers, words};
use crate::cases::loss::{cross_entropy, loss_on, unscaled};
use crate::fill::Rng;
use crate::numbers::{Real, Truth};
use crate::run::{backends, outputs};

/// Losses and true cotangents that a backend gives for these logits.
fn losses(backend: &Backend, kind: u32, logits: &[f64], labels: &[u32]) -> (Vec<f64>, Vec<f64>) {
    let out = outputs(&loss_on(kind, logits.to_vec(), labels.to_vec()), backend).expect("a launch");
    let cotangents = unscaled(numbers(&out["cotangent"]), words(&out["exponent"]));
    (numbers(&out["loss"]).to_vec(), cotangents)
}

#[test]
fn loss_and_its_cotangent_have_all_digits_at_every_gap() {
    for backend in backends(Kernel::Loss, None) {
        let bound = match backend.precision {
            Precision::F32 => 1e-6,
            Precision::F64 => 1e-14,
        };
        for classes in [2, 3, 113] {
            let mut rng = Rng::new(classes as u64);
            // Multiples of 1/64, so that differences of logits are exact in both precisions and the digits that are
            // lost are the kernel's own.
            let (mut logits, mut labels, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
            for quarter in 0..=800 {
                for behind in [false, true] {
                    let gap = f64::from(quarter) / 4.0;
                    let (label, other) = (rng.below(classes as u32) as usize, rng.below(classes as u32) as usize);
                    let top = if behind && other != label { other } else { label };
                    let mut row: Vec<f64> = rng.normals(classes).iter().map(|z| (64.0 * z).round() / 64.0).collect();
                    row[top] = gap + row.iter().fold(f64::MIN, |a, b| a.max(*b));
                    logits.extend(row);
                    labels.push(label as u32);
                    gaps.push(gap);
                }
            }
            let (loss, cotangents) = losses(&backend, 0, &logits, &labels);
            for (sample, gap) in gaps.into_iter().enumerate() {
                let row: Vec<Truth> = logits[sample * classes..][..classes]
                    .iter()
                    .map(|z| Truth::new(*z))
                    .collect();
                let (true_loss, truth) = cross_entropy(&row, labels[sample] as usize);
                let at = |what: &str| format!("{} {what}, {classes} classes, gap {gap}", backend.title());
                // Below the normal numbers of f32 the loss itself has fewer digits; its cotangent never.
                if backend.precision == Precision::F64 || true_loss.value() > f64::from(f32::MIN_POSITIVE) {
                    let error = true_loss.minus(loss[sample]).abs() / true_loss.value();
                    assert!(error <= bound, "{}: {error:.1e}", at("loss"));
                }
                let top = truth.iter().fold(0.0, |top: f64, c| top.max(c.value().abs()));
                assert!(top > 0.0);
                for (c, found) in truth.iter().zip(&cotangents[sample * classes..]) {
                    let error = c.minus(*found).abs() / top;
                    assert!(error <= bound, "{}: {error:.1e}", at("cotangent"));
                }
            }
        }
    }
}

#[test]
fn cotangents_of_the_accurate_loss_sum_to_zero() {
    for backend in backends(Kernel::Loss, None) {
        let mut rng = Rng::new(9);
        let logits: Vec<f64> = rng.normals(97 * 33).iter().map(|z| 20.0 * z).collect();
        let out = outputs(&loss_on(0, logits, rng.words(97, 33)), &backend).expect("a launch");
        // As scaled, so that no small sample hides behind a large one.
        for row in numbers(&out["cotangent"]).chunks_exact(33) {
            assert!(row.iter().sum::<f64>().abs() <= 8.0 * backend.precision.epsilon());
        }
    }
}

/// A tensor of a file, as f64.
fn tensor(file: &SafeTensors, name: &str) -> Vec<f64> {
    let view = file.tensor(name).expect("a tensor of the fixture");
    match view.dtype() {
        safetensors::Dtype::F32 => view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(bytes(b)).into())
            .collect(),
        safetensors::Dtype::F64 => view
            .data()
            .chunks_exact(8)
            .map(|b| f64::from_le_bytes(bytes(b)))
            .collect(),
        _ => view
            .data()
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(bytes(b)) as f64)
            .collect(),
    }
}

fn bytes<const N: usize>(slice: &[u8]) -> [u8; N] {
    slice.try_into().expect("chunks of this length")
}

#[test]
fn naive_loss_is_that_of_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/naive_cross_entropy.safetensors");
    let data = std::fs::read(path).expect("the fixture");
    let file = SafeTensors::deserialize(&data).expect("a safetensors file");
    let (logits, labels) = (tensor(&file, "logits"), tensor(&file, "labels"));
    let labels: Vec<u32> = labels.iter().map(|y| *y as u32).collect();
    let (loss, dlogits) = (tensor(&file, "loss"), tensor(&file, "dlogits"));
    let exact = tensor(&file, "exact_loss");
    for backend in backends(Kernel::Loss, Some(Precision::F32)) {
        let (found, cotangents) = losses(&backend, 1, &logits, &labels);
        let classes = logits.len() / labels.len();
        let mut zeros = [0, 0];
        for sample in 0..labels.len() {
            let scale = logits[sample * classes..][..classes]
                .iter()
                .fold(1.0, |a: f64, z| a.max(z.abs()));
            let error = (found[sample] - loss[sample]).abs();
            // One unit in the last place of the logits: exp and ln of two libraries.
            assert!(
                error <= scale * f64::from(f32::EPSILON),
                "loss {sample}: {} {}",
                found[sample],
                loss[sample]
            );
            let at = sample * classes + labels[sample] as usize;
            zeros[0] += usize::from(cotangents[at] == 0.0);
            zeros[1] += usize::from(dlogits[at] == 0.0);
            for k in sample * classes..(sample + 1) * classes {
                let error = (cotangents[k] - dlogits[k]).abs();
                let bound = 2.0 * f64::from(f32::EPSILON) * (dlogits[k].abs() * scale + f64::from(k == at));
                assert!(error <= bound, "cotangent {sample}: {} {}", cotangents[k], dlogits[k]);
            }
        }
        // The point of this arm: how often the label's gradient is absorbed.
        assert_eq!(zeros[0], zeros[1], "label gradients that are exactly zero");
        assert!(zeros[0] > 10);
        // And it is naive: on the same logits the accurate loss loses no more than a difference of 60 does when it is
        // rounded to f32.
        let (accurate, _) = losses(&backend, 0, &logits, &labels);
        let worst = |loss: &[f64]| {
            loss.iter()
                .zip(&exact)
                .map(|(a, b)| (a / b - 1.0).abs())
                .fold(0.0, f64::max)
        };
        assert!(
            worst(&accurate) < 4e-6 && worst(&found) > 0.5,
            "{} {}",
            worst(&accurate),
            worst(&found)
        );
    }
}
