//! What gmatrix measures against an oracle in float64 that was written independently (tests/oracle).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gmatrix::backend::Precision;
use gmatrix::config::{FurtherGram, LossKind};
use gmatrix::measure::{Measurement, Request, measure, per_sample_gradients};
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::model::{Activation, Layout, ModelShape};
use gmatrix::random::{Purpose, Stream};
use gmatrix::record::TensorSet;
use gmatrix::stats::further;
use gmatrix::task::Examples;
use serde_json::Value;

/// One fixture.
struct Case {
    name: String,
    shape: ModelShape,
    weights: Vec<f64>,
    examples: Examples,
    tensors: BTreeMap<String, Vec<f64>>,
    expected: Value,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn cases() -> Vec<Case> {
    let mut dirs: Vec<PathBuf> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.json").exists())
        .collect();
    dirs.sort();
    assert!(dirs.len() >= 20, "the fixtures are missing");
    dirs.iter().map(|dir| case(dir)).collect()
}

fn case(dir: &Path) -> Case {
    let examples = Examples::read(dir.join("data.safetensors")).unwrap();
    let overrides = Overrides::for_examples(&examples, None);
    let (shape, weights) = read_weights(dir.join("weights.safetensors"), overrides).unwrap();
    let tensors = TensorSet::read(&dir.join("expected.safetensors")).unwrap().tensors;
    Case {
        name: dir.file_name().unwrap().to_string_lossy().into_owned(),
        shape,
        weights,
        examples,
        tensors: tensors
            .into_iter()
            .map(|t| (t.name.clone(), t.elements::<f64>().unwrap()))
            .collect(),
        expected: serde_json::from_str(&fs::read_to_string(dir.join("expected.json")).unwrap()).unwrap(),
    }
}

impl Case {
    fn request(&self, precision: Precision) -> Request {
        let names = self.expected["ntcov"]["names"].as_array().unwrap();
        Request {
            precision,
            loss: match self.expected["loss_kind"].as_str().unwrap() {
                "mse" => LossKind::Mse,
                "stablemax" => LossKind::Stablemax,
                _ => LossKind::CrossEntropy,
            },
            properties: names.iter().map(|n| n.as_str().unwrap().parse().unwrap()).collect(),
            group: None,
            spectrum: true,
            gram: true,
            grams: Vec::new(),
            probes: None,
        }
    }

    fn measure(&self, precision: Precision) -> Measurement {
        measure(&self.shape, &self.weights, &self.examples, &self.request(precision)).unwrap()
    }

    /// The error that the format forces on f32: sixteen times how much the f64 result changes when every weight moves by
    /// a random last bit of f32 (a stable computation rounds every intermediate value too), or what rounding the
    /// widest logit does to a probability, if that is more. For most fixtures both are below the fixed bound.
    fn forced_error(&self, of: impl Fn(&Measurement) -> Vec<f64>, scale: impl Fn(usize) -> f64) -> f64 {
        let noise = Stream::new(1, Purpose::Null);
        let last_bit = |(k, w): (usize, &f64)| w * (1.0 + f64::from(f32::EPSILON) * (noise.uniform(k as u64) - 0.5));
        let weights: Vec<f64> = self.weights.iter().enumerate().map(last_bit).collect();
        let moved = measure(&self.shape, &weights, &self.examples, &self.request(Precision::F64)).unwrap();
        // Beyond a gap of 100 a sample has no gradient worth a rounding error.
        let widest = self.tensors["logits"]
            .iter()
            .fold(0.0, |m: f64, z| m.max(z.abs()))
            .min(100.0);
        let rounded = 4.0 * f64::from(f32::EPSILON) * widest;
        rounded.max(16.0 * worst(&of(&moved), &of(&self.measure(Precision::F64)), scale))
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.expected[key].as_f64()
    }
}

/// Largest difference relative to a scale.
fn worst(found: &[f64], expected: &[f64], scale: impl Fn(usize) -> f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let errors = found.iter().zip(expected).enumerate();
    errors
        .map(|(k, (f, e))| if f == e { 0.0 } else { (f - e).abs() / scale(k) })
        .fold(0.0, |worst, error| {
            if error.is_nan() {
                f64::NAN
            } else {
                f64::max(worst, error)
            }
        })
}

#[test]
fn gram_matrices_agree() {
    for case in cases() {
        for (precision, bound) in [(Precision::F64, 1e-11), (Precision::F32, 1e-5)] {
            gram_holds(&case, &case.measure(precision), precision, bound);
        }
    }
}

fn gram_holds(case: &Case, found: &Measurement, precision: Precision, bound: f64) {
    let gram = &case.tensors["gram"];
    let n = case.examples.n;
    let scale = |k: usize| (gram[k / n * (n + 1)] * gram[k % n * (n + 1)]).sqrt();
    let forced = case.forced_error(|m| m.gram.clone().unwrap(), scale);
    let bound = if precision == Precision::F32 {
        forced.max(bound)
    } else {
        bound
    };
    let error = worst(found.gram.as_ref().unwrap(), gram, scale);
    assert!(error <= bound, "{} {precision:?}: {error:e}", case.name);
}

#[test]
fn logits_losses_and_gradients_agree() {
    for case in cases() {
        for (precision, bound) in [(Precision::F64, 1e-12), (Precision::F32, 2e-5)] {
            let found = case.measure(precision);
            let largest = |x: &[f64]| x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            let logits = &case.tensors["logits"];
            let error = worst(&found.logits, logits, |_| largest(logits));
            assert!(error <= bound, "{} {precision:?} logits: {error:e}", case.name);
            if precision == Precision::F64 {
                let losses = &case.tensors["loss"];
                let error = worst(&found.losses, losses, |k| losses[k]);
                assert!(error <= 1e-10, "{} {precision:?} losses: {error:e}", case.name);
            }
            let layout = Layout::new(&case.shape);
            let norm = case.number("gradient_norm").unwrap();
            for external in &layout.externals {
                let expected = &case.tensors[&format!("mean_gradient/{}", external.name)];
                let found: Vec<f64> = external.indices(&layout).map(|k| found.mean_gradient[k]).collect();
                let error = worst(&found, expected, |_| norm);
                assert!(
                    error <= bound,
                    "{} {precision:?} {}: {error:e}",
                    case.name,
                    external.name
                );
            }
        }
    }
}

#[test]
fn per_sample_gradients_agree() {
    let mut seen = 0;
    for case in cases() {
        let layout = Layout::new(&case.shape);
        if !case.tensors.keys().any(|name| name.starts_with("gradients/")) {
            continue;
        }
        seen += 1;
        let request = case.request(Precision::F64);
        per_sample_gradients(
            &case.shape,
            &case.weights,
            &case.examples,
            &request,
            |sample, gradient| {
                for external in &layout.externals {
                    let all = &case.tensors[&format!("gradients/{}", external.name)];
                    let len = all.len() / case.examples.n;
                    let found: Vec<f64> = external.indices(&layout).map(|k| gradient[k]).collect();
                    let error = worst(&found, &all[sample * len..][..len], |_| 1.0);
                    assert!(
                        error <= 1e-12,
                        "{} sample {sample} {}: {error:e}",
                        case.name,
                        external.name
                    );
                }
                Ok(())
            },
        )
        .unwrap();
    }
    assert!(seen >= 2);
}

/// Statistics that cancel, with the un-cancelled part whose error bounds theirs.
fn cancelling(key: &str, case: &Case) -> Option<f64> {
    let n = case.number("n").unwrap();
    let mean_square = case.number("noise_trace").unwrap() + case.number("noise_g2").unwrap().abs();
    match key {
        "noise_g2" | "noise_trace" => Some(mean_square * n / (n - 1.0)),
        "coherence_unbiased" | "mean_cosine" | "min_cosine" => Some(1.0),
        "negative_fraction" => Some(1.0),
        _ => None,
    }
}

#[test]
fn scalar_statistics_agree() {
    for case in cases() {
        for (precision, bound) in [(Precision::F64, 1e-9), (Precision::F32, 1e-4)] {
            scalars_hold(&case, &case.measure(precision), precision, bound, |_| false);
        }
    }
}

/// `beyond` names what the backend cannot hold.
fn scalars_hold(case: &Case, found: &Measurement, precision: Precision, bound: f64, beyond: impl Fn(&str) -> bool) {
    let found = &found.scalars;
    let short = precision == Precision::F32;
    let mut compared = 0;
    for (key, value) in case.expected.as_object().unwrap() {
        let Some(mut expected) = value.as_f64() else {
            continue;
        };
        if beyond(key) {
            continue;
        }
        let label = format!("{} {precision:?} {key}", case.name);
        let got = *found.get(key).unwrap_or_else(|| panic!("{label} is missing"));
        let suffix = if short { "f32" } else { "f64" };
        let sensitivity = |what: &str| case.expected["sensitivity"][&format!("{what}.{suffix}")].as_f64();
        if short && let Some(other) = case.expected["f32_threshold"][key].as_f64() {
            expected = other;
        }
        let Some(got) = got else {
            // Centring may cost more digits than f32 has: then null is the right answer.
            let condition = case.number("centring_condition").unwrap();
            assert!(
                short && key.starts_with("centred.") && condition > 90.0,
                "{label} is null"
            );
            continue;
        };
        compared += 1;
        if key.ends_with(".rank") {
            let form = key.trim_end_matches(".rank");
            let (low, high) = (
                sensitivity(&format!("{form}.rank_min")),
                sensitivity(&format!("{form}.rank_max")),
            );
            let (low, high) = (low.unwrap_or(expected), high.unwrap_or(expected));
            assert!(low <= got && got <= high, "{label}: {got}, expected {low} to {high}");
            continue;
        }
        let mut allowed = bound * cancelling(key, case).unwrap_or(expected.abs());
        if let Some(change) = sensitivity(key) {
            allowed = allowed.max(3.0 * change);
        }
        if key == "centring_condition" || key.starts_with("centred.") {
            // Centring loses this many digits of K.
            allowed *= case.number("centring_condition").unwrap().max(1.0);
        }
        if key.starts_with("centred_cosine.") {
            allowed *= case.expected["centred_cosine_condition"]["value"]
                .as_f64()
                .unwrap()
                .max(1.0);
        }
        assert!((got - expected).abs() <= allowed, "{label}: {got}, expected {expected}");
    }
    assert!(compared > 30, "{} compared {compared}", case.name);
}

/// The Gram matrices beside K: of gradients with respect to groups of tensors and of margins, of cosines, of activations and
/// of logits.
#[test]
fn ranks_of_further_matrices_agree() {
    let mut seen = 0;
    for mut case in cases() {
        let Ok(text) = fs::read_to_string(fixtures().join(&case.name).join("further.json")) else {
            continue;
        };
        seen += 1;
        let further: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        let columns: Vec<String> = further
            .keys()
            .filter(|key| further[*key].is_number())
            .cloned()
            .collect();
        // What they are told apart by stays: the other statistics are compared elsewhere.
        case.expected.as_object_mut().unwrap().extend(further);
        for (precision, bound) in [(Precision::F64, 1e-9), (Precision::F32, 1e-4)] {
            let mut request = case.request(precision);
            request.properties.clear();
            request.grams = FurtherGram::ALL
                .into_iter()
                .filter(|gram| !matches!(gram, FurtherGram::Preconditioned | FurtherGram::Block))
                .collect();
            let found = measure(&case.shape, &case.weights, &case.examples, &request).unwrap();
            let names = further::names(&request.grams, &case.shape);
            for name in &names {
                let is_stated = columns.contains(name);
                let is_of_rounding = name.contains(".null_") || name.ends_with("negative_eigenvalues");
                assert!(is_stated || is_of_rounding, "{}: the oracle has no {name}", case.name);
            }
            scalars_hold(&case, &found, precision, bound, |key| {
                !columns.contains(&key.to_owned())
            });
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn nulls_agree_with_draws() {
    for case in cases() {
        let found = case.measure(Precision::F64).scalars;
        for (key, null) in case.expected["null"].as_object().unwrap() {
            let (mean, se) = (null["mean"].as_f64().unwrap(), null["se"].as_f64().unwrap());
            // One draw scatters as the 200 behind the mean did; the closed form is of second order.
            let draw = se * null["draws"].as_f64().unwrap().sqrt();
            let got = found[key].unwrap();
            let allowed = 5.0 * draw + 2e-3 * mean;
            assert!(
                (got - mean).abs() <= allowed,
                "{} {key}: {got}, expected {mean} +- {draw}",
                case.name
            );
        }
    }
}

#[test]
fn ntcov_agrees() {
    for case in cases() {
        for (precision, bound) in [(Precision::F64, 1e-11), (Precision::F32, 1e-5)] {
            ntcov_holds(&case, &case.measure(precision), precision, bound);
        }
    }
}

fn ntcov_holds(case: &Case, found: &Measurement, precision: Precision, bound: f64) {
    let expected = case.expected["ntcov"]["matrix"].as_array().unwrap();
    let expected: Vec<f64> = expected
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()))
        .collect();
    let (names, rows) = found.ntcov.as_ref().unwrap();
    let k = names.len();
    let scale = |at: usize| (expected[at / k * (k + 1)] * expected[at % k * (k + 1)]).sqrt();
    let forced = case.forced_error(|m| m.ntcov.clone().unwrap().1.concat(), scale);
    let bound = if precision == Precision::F32 {
        forced.max(bound)
    } else {
        bound
    };
    let error = worst(&rows.concat(), &expected, scale);
    assert!(error <= bound, "{} {precision:?}: {error:e}", case.name);
}

/// The bounds of f32 hold for WGSL, too.
#[cfg(feature = "wgpu")]
#[test]
fn wgpu_agrees() {
    use gmatrix::backend::wgpu::{WgpuExecutor, probe};
    use gmatrix::measure::measure_on;

    if let Err(reason) = probe() {
        let required = std::env::var("GMATRIX_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|name| name == "wgpu"),
            "wgpu is required: {reason}"
        );
        println!("Unsupported: {reason}");
        return;
    }
    for case in cases() {
        let request = case.request(Precision::F32);
        let found = measure_on(
            &|plan| Ok(Box::new(WgpuExecutor::new(plan, 1)?)),
            &case.shape,
            &case.weights,
            &case.examples,
            &request,
        )
        .unwrap();
        println!("{}", case.name);
        gram_holds(&case, &found, Precision::F32, 1e-5);
        // Products of gradients of 1e-20 and less are beyond the range of pairs of f32.
        let beyond = [
            "gradient_norm",
            "coherence",
            "coherence_unbiased",
            "noise_trace",
            "noise_g2",
        ];
        let tiny = case.number("gradient_norm").unwrap() < 1e-14;
        scalars_hold(&case, &found, Precision::F32, 1e-4, |key| tiny && beyond.contains(&key));
        if !tiny {
            ntcov_holds(&case, &found, Precision::F32, 1e-5);
        }
    }
}

/// Logits, losses and the Gram matrix by TransformerLens in f64, of files as it writes them, biases included.
#[test]
fn transformer_lens_agrees() {
    for (name, activation) in [
        ("transformer_lens", Activation::Relu),
        ("transformer_lens_pre", Activation::Gelu),
    ] {
        let expected = fixtures().join(format!("{name}_expected.safetensors"));
        let examples = Examples::read(&expected).unwrap();
        let overrides = Overrides::for_examples(&examples, Some(activation));
        let (shape, weights) = read_weights(fixtures().join(format!("{name}.safetensors")), overrides).unwrap();
        let file = TensorSet::read(&expected).unwrap();
        for (precision, bound) in [(Precision::F64, 1e-12), (Precision::F32, 2e-6)] {
            let request = Request {
                precision,
                loss: LossKind::CrossEntropy,
                properties: Vec::new(),
                group: None,
                spectrum: false,
                gram: true,
                grams: Vec::new(),
                probes: None,
            };
            let found = measure(&shape, &weights, &examples, &request).unwrap();
            let gram: Vec<f64> = file.get("gram").unwrap().elements().unwrap();
            let n = examples.n;
            let scale = |k: usize| (gram[k / n * (n + 1)] * gram[k % n * (n + 1)]).sqrt();
            let error = worst(found.gram.as_ref().unwrap(), &gram, scale);
            let gram_bound = if precision == Precision::F64 { 1e-11 } else { 1e-5 };
            assert!(error <= gram_bound, "{name} {precision:?} gram: {error:e}");
            for (what, found) in [("logits", &found.logits), ("loss", &found.losses)] {
                let expected: Vec<f64> = file.get(what).unwrap().elements().unwrap();
                let largest = expected.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                let error = worst(found, &expected, |_| largest);
                assert!(error <= bound, "{name} {precision:?} {what}: {error:e}");
            }
        }
    }
}
