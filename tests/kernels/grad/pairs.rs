//! Kernel pairs: the backward kernel gives the slopes of the forward one, on the cases of the backward kernel.

use std::collections::BTreeMap;

use gmatrix::backend::{Precision, Values};
use gmatrix::plan::Kernel;

use super::{STEP, slope};
use crate::backends::Backend;
use crate::case::{Case, numbers, words};
use crate::cases;
use crate::cases::loss::unscaled;
use crate::fill::Rng;
use crate::run::{backends, outputs_of};

type Named = BTreeMap<&'static str, Vec<f64>>;

/// Runs a case with these numbers in its buffers; the rest keeps its own contents.
fn launch(case: &Case, backend: &Backend, given: &Named) -> BTreeMap<String, Values> {
    let mut contents = case.contents(1, Precision::F64);
    for (buffer, values) in case.buffers.iter().zip(&mut contents) {
        if let Some(numbers) = given.get(buffer.name.as_str()) {
            *values = Values::Numbers(numbers.clone());
        }
    }
    outputs_of(case, backend, contents).expect("a launch")
}

/// Checks the slope of `sum cotangent * out` along random directions of every input against the gradients.
fn agree(what: &str, inputs: &Named, gradients: &Named, value: impl Fn(&Named) -> f64) {
    let mut rng = Rng::new(77);
    for (name, gradient) in gradients {
        for _ in 0..3 {
            let direction = rng.normals(gradient.len());
            let moved = |by: f64| {
                let mut inputs = inputs.clone();
                let x = inputs.get_mut(name).expect("an input with this gradient");
                x.iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
                vec![value(&inputs)]
            };
            let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let scale: f64 = gradient.iter().zip(&direction).map(|(g, d)| (g * d).abs()).sum();
            let found = slope(STEP, moved)[0];
            assert!(
                (found - expected).abs() <= 1e-8 * scale,
                "{what}, {name}: slope {found}, gradient {expected}"
            );
            // Scores of a single key do not move: nothing to see, and nothing to hide behind either.
            assert!(scale > 0.0 || found.abs() < 1e-10, "{what}, {name}: no gradient");
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The forward case with the parameters of a backward one.
fn forward_of(kernel: Kernel, backward: &Case, constants: &[(&'static str, u32)]) -> Case {
    let fits = |case: &Case| case.params == backward.params && case.constants == constants;
    cases::of(kernel)
        .into_iter()
        .find(fits)
        .unwrap_or_else(|| panic!("no forward case of {}", backward.title()))
}

#[test]
fn activation_backward_is_the_slope_of_activation() {
    for backend in backends(Kernel::ActivationBackward, Some(Precision::F64)) {
        for case in cases::of(Kernel::ActivationBackward) {
            let len = case.params[0];
            let forward = forward_of(Kernel::Activation, &case, &case.constants);
            let mut rng = Rng::new(len as u64);
            // Away from the kink of relu.
            let input = rng.normals(len).into_iter().map(|x| x + 0.1 * x.signum()).collect();
            let cotangent = rng.normals(len);
            let inputs = Named::from([("input", input)]);
            let mut given = inputs.clone();
            given.insert("cotangent", cotangent.clone());
            let gradient = numbers(&launch(&case, &backend, &given)["cotangent"]).to_vec();
            agree(&case.title(), &inputs, &Named::from([("input", gradient)]), |inputs| {
                dot(&cotangent, numbers(&launch(&forward, &backend, inputs)["out"]))
            });
        }
    }
}

#[test]
fn layer_norm_backward_and_samples_are_the_slopes_of_layer_norm() {
    for backend in backends(Kernel::LayerNormBackward, Some(Precision::F64)) {
        for case in cases::of(Kernel::LayerNormBackward) {
            let [rows, d] = case.params[..] else {
                unreachable!("two parameters")
            };
            let forward = forward_of(Kernel::LayerNorm, &case, &[]);
            let mut rng = Rng::new((rows + d) as u64);
            let [input, cotangent, residual] = [(); 3].map(|()| rng.normals(rows * d));
            let [gain, shift] = [(); 2].map(|()| rng.normals(d));
            let inputs = Named::from([("input", input), ("gain", gain.clone()), ("shift", shift)]);
            let saved = launch(&forward, &backend, &inputs);
            let given = Named::from([
                ("cotangent", cotangent.clone()),
                ("normal", numbers(&saved["normal"]).to_vec()),
                ("inverse_sd", numbers(&saved["inverse_sd"]).to_vec()),
                ("gain", gain),
                ("residual", residual.clone()),
            ]);
            let mut dx = numbers(&launch(&case, &backend, &given)["out"]).to_vec();
            if case.constants == [("RESIDUAL", 1)] {
                dx.iter_mut().zip(&residual).for_each(|(x, r)| *x -= r);
            }
            // All rows as positions of one sample, so that its gradients are the sums over all rows.
            let mut samples = cases::of(Kernel::LayerNormSamples).swap_remove(0);
            samples.params = vec![1, rows, d];
            for (buffer, len) in samples.buffers.iter_mut().zip([rows * d, rows * d, d, d]) {
                buffer.len = len;
                buffer.fill = Box::new(move |_| Values::Numbers(vec![f64::NAN; len]));
            }
            let summed = launch(&samples, &backend, &given);
            let gradients = Named::from([
                ("input", dx),
                ("gain", numbers(&summed["gain"]).to_vec()),
                ("shift", numbers(&summed["shift"]).to_vec()),
            ]);
            if d == 1 {
                // A row of one number is normalised to 0: its slope is 0 up to rounding.
                assert!(gradients["input"].iter().all(|x| x.abs() < 1e-10));
                continue;
            }
            agree(&case.title(), &inputs, &gradients, |inputs| {
                dot(&cotangent, numbers(&launch(&forward, &backend, inputs)["out"]))
            });
        }
    }
}

#[test]
fn attention_backward_is_the_slope_of_attention() {
    for backend in backends(Kernel::AttentionBackward, Some(Precision::F64)) {
        for case in cases::of(Kernel::AttentionBackward) {
            let [n, t, tq, heads, width] = case.params[..] else {
                unreachable!("five parameters")
            };
            let forward = forward_of(Kernel::Attention, &case, &case.constants);
            let d = heads * width;
            let mut rng = Rng::new((n + t + d) as u64);
            let (q, kv) = (rng.normals(tq * n * d), rng.normals(t * n * 2 * d));
            let cotangent = rng.normals(tq * n * d);
            let mut inputs = Named::from([("q", q), ("kv", kv)]);
            // Both mix by the share of the backward case.
            let place = case.buffers.iter().position(|buffer| buffer.name == "scalars");
            inputs.extend(place.map(|place| ("scalars", numbers(&case.contents(1, Precision::F64)[place]).to_vec())));
            let mut given = inputs.clone();
            given.insert(
                "pattern",
                numbers(&launch(&forward, &backend, &inputs)["pattern"]).to_vec(),
            );
            given.insert("cotangent", cotangent.clone());
            let out = launch(&case, &backend, &given);
            let gradients = [("q", "dq"), ("kv", "dkv")].map(|(x, dx)| (x, numbers(&out[dx]).to_vec()));
            agree(&case.title(), &inputs, &Named::from(gradients), |inputs| {
                dot(&cotangent, numbers(&launch(&forward, &backend, inputs)["out"]))
            });
        }
    }
}

/// Losses and properties: per-sample values, and cotangents with a scale of their own.
fn logits_pair(kernel: Kernel, value: &str) {
    for backend in backends(kernel, Some(Precision::F64)) {
        for case in cases::of(kernel) {
            let classes = case.params[1];
            if !case.constants.contains(&("GRADIENT", 1)) || classes < 2 {
                continue;
            }
            let n = case.params[0];
            let mut rng = Rng::new((n + classes) as u64);
            // Gaps at which both the value and its differences have digits to spare, and away from StableMax's bend.
            let inputs = Named::from([(
                "logits",
                rng.normals(n * classes)
                    .into_iter()
                    .map(|z| 2.0 * z + 0.1 * z.signum())
                    .collect(),
            )]);
            let out = launch(&case, &backend, &inputs);
            let gradient = unscaled(numbers(&out["cotangent"]), words(&out["exponent"]));
            let weights = rng.normals(n);
            let gradient = gradient
                .iter()
                .enumerate()
                .map(|(k, g)| weights[k / classes] * g)
                .collect();
            agree(&case.title(), &inputs, &Named::from([("logits", gradient)]), |inputs| {
                dot(&weights, numbers(&launch(&case, &backend, inputs)[value]))
            });
        }
    }
}

#[test]
fn loss_cotangents_are_its_slopes() {
    logits_pair(Kernel::Loss, "loss");
}

#[test]
fn property_cotangents_are_its_slopes() {
    logits_pair(Kernel::Property, "value");
}
