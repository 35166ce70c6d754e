//! Statistics of captured sites: files written by PyTorch and JAX against per-sample gradients those computed one by one,
//! identities, and what is refused.
//!
//! The fixtures are what `examples/python/pytorch_sites.py` and `jax_sites.py` write, in float64.

mod refused;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gmatrix::backend::Precision;
use gmatrix::sites::{Request, Sites};
use safetensors::SafeTensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sites/fixtures")
        .join(name)
}

/// The Gram matrix and the scalars that the Python program found.
fn expected(name: &str) -> (Vec<f64>, BTreeMap<String, f64>) {
    let bytes = std::fs::read(fixture(&format!("{name}.gram.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let gram = file.tensor("gram").unwrap().data().chunks_exact(8);
    let gram = gram
        .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let json = std::fs::read_to_string(fixture(&format!("{name}.json"))).unwrap();
    (gram, serde_json::from_str(&json).unwrap())
}

/// Differences whose parts cancel are held to the size of those parts.
fn parts(name: &str, expected: &BTreeMap<String, f64>) -> f64 {
    let square = expected["per_sample_norm_mean"].powi(2);
    match name {
        "noise_g2" => square,
        "mean_cosine" | "min_cosine" => 1.0,
        _ => expected[name].abs(),
    }
}

#[test]
fn other_frameworks_sites_give_their_gradients_statistics() {
    for name in ["pytorch", "jax"] {
        let sites = Sites::read(fixture(&format!("{name}.safetensors"))).unwrap();
        let (gram, scalars) = expected(name);
        for (precision, bound) in [(Precision::F64, 1e-9), (Precision::F32, 1e-4)] {
            let request = Request {
                precision,
                gram: true,
                ..Request::default()
            };
            let found = sites.statistics(&request).unwrap();
            for (key, value) in &scalars {
                let Some(found) = found.scalars[key] else {
                    panic!("{name} {precision:?}: {key} is not defined");
                };
                // Ranks of a matrix that holds a gradient twice count what f32 can tell from nothing.
                if precision == Precision::F32 && key.contains("rank") && !key.contains("stable") {
                    assert!(
                        (found - value).abs() <= 0.02 * value,
                        "{name} f32 {key}: {found}, {value}"
                    );
                    continue;
                }
                let error = (found - value).abs() / parts(key, &scalars);
                assert!(error <= bound, "{name} {precision:?} {key}: {found}, expected {value}");
            }
            let (found, n) = (found.gram.unwrap(), sites.samples());
            let entry_bound = if precision == Precision::F64 { 1e-11 } else { 1e-5 };
            for (at, (found, value)) in found.iter().zip(&gram).enumerate() {
                let scale = (gram[at / n * (n + 1)] * gram[at % n * (n + 1)]).sqrt();
                assert!(
                    (found - value).abs() <= entry_bound * scale,
                    "{name} {precision:?} K[{at}]"
                );
            }
        }
    }
}

/// A numerically singular matrix's statistics do not depend on how a gradient came: structured or as it is.
#[test]
fn a_site_and_its_materialised_gradient_are_the_same() {
    let (n, t, d_in, d_out) = (7, 3, 5, 4);
    let wave = |i: usize, frequency: f64| (i as f64 * frequency).sin();
    let a: Vec<f64> = (0..n * t * d_in).map(|i| wave(i, 0.7)).collect();
    let b: Vec<f64> = (0..n * t * d_out).map(|i| wave(i, 1.9)).collect();
    let mut gradients = vec![0.0; n * (d_in + 1) * d_out];
    for (row, gradient) in gradients.chunks_exact_mut((d_in + 1) * d_out).enumerate() {
        for position in row * t..(row + 1) * t {
            for (o, b) in b[position * d_out..][..d_out].iter().enumerate() {
                for (i, a) in a[position * d_in..][..d_in].iter().enumerate() {
                    gradient[i * d_out + o] += a * b;
                }
                gradient[d_in * d_out + o] += b;
            }
        }
    }
    let (mut structured, mut materialised) = (Sites::new(n).unwrap(), Sites::new(n).unwrap());
    structured.linear_bias("layer", &a, d_in, &b, d_out).unwrap();
    materialised.materialised("layer", &gradients).unwrap();
    let (structured, materialised) = (
        structured.statistics(&Request::default()).unwrap().scalars,
        materialised.statistics(&Request::default()).unwrap().scalars,
    );
    for (name, value) in &materialised {
        match (structured[name], value) {
            (Some(found), Some(value)) => {
                let error = (found - value).abs() / value.abs().max(1e-3);
                assert!(error < 1e-9, "{name}: {found}, {value}");
            }
            (found, value) => assert_eq!(found, *value, "{name}"),
        }
    }
}

#[test]
#[cfg(feature = "cli")]
fn the_command_prints_what_the_library_finds() {
    let dir = tempfile::tempdir().unwrap();
    let (sites, gram) = (fixture("pytorch.safetensors"), dir.path().join("K.safetensors"));
    let output = assert_cmd::Command::cargo_bin("gmatrix")
        .unwrap()
        .args(["gram", "--json", "-", "--sites"])
        .arg(&sites)
        .arg("--gram")
        .arg(&gram)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = Sites::read(&sites).unwrap().statistics(&Request::default()).unwrap();
    for (name, value) in &found.scalars {
        assert_eq!(printed[name].as_f64(), *value, "{name}");
    }
    let bytes = std::fs::read(gram).unwrap();
    let n = found.scalars["n"].unwrap() as usize;
    assert_eq!(
        SafeTensors::deserialize(&bytes)
            .unwrap()
            .tensor("gram")
            .unwrap()
            .shape(),
        [n, n]
    );
}
