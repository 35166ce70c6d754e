//! What must hold of `measure` on any network and any data.

use gmatrix::backend::Precision;
use gmatrix::config::{LossKind, MlpInput};
use gmatrix::measure::{Request, measure};
use gmatrix::model::{Activation, Layout, MlpShape, ModelShape, Norm, TransformerShape};
use gmatrix::task::Examples;
use proptest::prelude::*;

use crate::networks::{Setting, examples, settings};

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// The structured Gram matrix is that of explicit gradients, and so are the sums that never see a matrix.
    #[test]
    fn gram_is_that_of_explicit_gradients(setting in settings()) {
        let n = setting.examples.n;
        let found = setting.measure(&setting.examples);
        let gradients = setting.gradients();
        let gram = found.gram.as_ref().unwrap();
        let layout = Layout::new(&setting.shape);
        for i in 0..n {
            for j in 0..n {
                // Tensor by tensor, as the sites add it.
                let parts = layout.tensors.iter().map(|t| t.offset..t.offset + t.len());
                let expected: f64 = parts.map(|part| dot(&gradients[i][part.clone()], &gradients[j][part])).sum();
                let scale = (dot(&gradients[i], &gradients[i]) * dot(&gradients[j], &gradients[j])).sqrt();
                let got = gram[i * n + j];
                prop_assert!((got - expected).abs() <= 1e-11 * scale, "{i} {j}: {got:e}, expected {expected:e}");
            }
        }
        let norms: Vec<f64> = gradients.iter().map(|g| dot(g, g).sqrt()).collect();
        let mean_norm = norms.iter().sum::<f64>() / n as f64;
        let largest = norms.iter().fold(0.0, |m: f64, x| m.max(*x));
        let got = found.scalars["per_sample_norm_mean"].unwrap();
        prop_assert!((got - mean_norm).abs() <= 1e-11 * mean_norm, "{got} {mean_norm}");
        for (k, got) in found.mean_gradient.iter().enumerate() {
            let expected = gradients.iter().map(|g| g[k]).sum::<f64>() / n as f64;
            prop_assert!((got - expected).abs() <= 1e-12 * largest, "mean {k}: {got:e}, expected {expected:e}");
        }
        // Nothing that is reported is infinite, and what is not defined is null.
        for (name, value) in &found.scalars {
            prop_assert!(value.is_none_or(f64::is_finite), "{name}: {value:?}");
        }
        for name in ["coherence_unbiased", "noise_trace", "noise_g2", "mean_cosine"] {
            prop_assert!(n > 1 || found.scalars[name].is_none(), "{name} of one sample");
        }
    }

    /// K of some samples is that part of the K of more, in any order, whatever the planner picks for other sizes.
    #[test]
    fn neither_order_nor_company_of_samples_matters(setting in settings()) {
        let n = setting.examples.n;
        let all = setting.measure(&setting.examples);
        let gram = all.gram.as_ref().unwrap();
        let order: Vec<u32> = (0..n as u32).rev().collect();
        for rows in [&order[..], &order[..n.div_ceil(2)]] {
            let part = setting.measure(&setting.examples.select(rows));
            let part_gram = part.gram.as_ref().unwrap();
            let m = rows.len();
            for (i, &a) in rows.iter().enumerate() {
                for (j, &b) in rows.iter().enumerate() {
                    let (a, b) = (a as usize, b as usize);
                    let scale = (gram[a * n + a] * gram[b * n + b]).sqrt();
                    let (x, y) = (part_gram[i * m + j], gram[a * n + b]);
                    prop_assert!((x - y).abs() <= 1e-12 * scale, "{a} {b}: {x:e} and {y:e}");
                }
            }
            if m == n {
                for name in ["raw.participation_ratio", "cosine.participation_ratio", "coherence", "loss", "accuracy"] {
                    let (x, y) = (part.scalars[name], all.scalars[name]);
                    prop_assert_eq!(x.is_some(), y.is_some());
                    let (x, y) = (x.unwrap_or(0.0), y.unwrap_or(0.0));
                    prop_assert!((x - y).abs() <= 1e-11 * y.abs(), "{name}: {x} and {y}");
                }
            }
        }
    }
}

fn transformer(n: usize, n_ctx: usize) -> Setting {
    let shape = ModelShape::Transformer(TransformerShape {
        layers: 1,
        d_model: 6,
        heads: 2,
        d_mlp: 8,
        activation: Activation::Gelu,
        norm: Norm::Pre,
        attention_biases: false,
        unembed_bias: false,
        attention_mix: 0.0,
        n_ctx,
        d_vocab: 5,
        d_vocab_out: 4,
    });
    Setting {
        examples: examples(&shape, n, 7),
        shape,
        loss: LossKind::CrossEntropy,
        seed: 7,
    }
}

/// Eigenvalues of G^T G and of the centred covariance, P x P, give the ranks that came from N x N matrices.
#[test]
fn the_spectrum_is_that_of_the_covariance() {
    let setting = transformer(11, 3);
    let found = setting.measure(&setting.examples).scalars;
    let gradients = setting.gradients();
    let p = gradients[0].len();
    let mean: Vec<f64> = (0..p)
        .map(|k| gradients.iter().map(|g| g[k]).sum::<f64>() / 11.0)
        .collect();
    for (form, centre) in [("raw", vec![0.0; p]), ("centred", mean)] {
        let at = |i: usize, k: usize| gradients[i][k] - centre[k];
        let covariance = faer::Mat::from_fn(p, p, |k, l| (0..11).map(|i| at(i, k) * at(i, l)).sum::<f64>());
        let values = covariance.self_adjoint_eigenvalues(faer::Side::Lower).unwrap();
        let largest = values[p - 1];
        let kept: Vec<f64> = values.into_iter().filter(|l| *l > 1e-12 * largest).collect();
        let sum: f64 = kept.iter().map(|l| l.sqrt()).sum();
        let erank = kept
            .iter()
            .map(|l| l.sqrt() / sum)
            .map(|q| -q * q.ln())
            .sum::<f64>()
            .exp();
        let trace: f64 = kept.iter().sum();
        for (name, expected) in [
            ("rank", kept.len() as f64),
            ("erank_sigma", erank),
            ("stable_rank", trace / largest),
            (
                "participation_ratio",
                trace * trace / kept.iter().map(|l| l * l).sum::<f64>(),
            ),
        ] {
            let got = found[&format!("{form}.{name}")].unwrap();
            assert!(
                (got - expected).abs() <= 1e-9 * expected,
                "{form}.{name}: {got}, expected {expected}"
            );
        }
    }
}

#[test]
fn copies_of_one_sample_are_one_direction() {
    let setting = transformer(5, 3);
    let found = setting.measure(&setting.examples.select(&[2; 40])).scalars;
    let get = |name: &str| found[name].unwrap();
    for name in [
        "raw.rank",
        "raw.erank_sigma",
        "raw.participation_ratio",
        "cosine.stable_rank",
        "mean_cosine",
        "coherence",
    ] {
        assert!((get(name) - 1.0).abs() < 1e-9, "{name}: {}", get(name));
    }
    assert_eq!(get("negative_fraction"), 0.0);
    assert!(get("per_sample_norm_log_sd") < 1e-7 && get("noise_trace").abs() < 1e-12 * get("noise_g2"));
    // Nothing is left when the mean is taken away: no digits, so no numbers.
    for (name, value) in &found {
        assert!(!name.starts_with("centred.") || value.is_none(), "{name}: {value:?}");
    }
}

#[test]
fn one_and_two_samples_are_enough() {
    for (n, t) in [(1, 3), (2, 3), (1, 1), (2, 1), (7, 1)] {
        let setting = transformer(n, t);
        let found = setting.measure(&setting.examples).scalars;
        let get = |name: &str| found[name].unwrap();
        assert_eq!(get("n"), n as f64);
        assert!(get("raw.rank") >= 1.0 && get("raw.rank") <= n as f64);
        assert!((get("coherence") - 1.0).abs() < 1e-12 || n > 1);
        assert_eq!(found["mean_cosine"].is_none(), n == 1, "{n} {t}");
        assert_eq!(found["noise_trace"].is_none(), n == 1, "{n} {t}");
        for precision in [Precision::F32, Precision::F64] {
            let request = Request {
                precision,
                ..setting.request()
            };
            measure(&setting.shape, &setting.weights(), &setting.examples, &request).unwrap();
        }
    }
}

/// A perfect fit of the squared error: every gradient is exactly zero, and what is made of directions is null.
#[test]
fn gradients_may_all_be_zero() {
    let shape = ModelShape::Mlp(MlpShape {
        input: MlpInput::OneHot,
        d_vocab: 3,
        n_ctx: 1,
        d_model: 0,
        hidden: Vec::new(),
        activation: Activation::Relu,
        bias: false,
        d_vocab_out: 3,
    });
    let examples = Examples {
        tokens: vec![0, 1, 2, 0],
        labels: vec![0, 1, 2, 0],
        n: 4,
        t: 1,
        ..Examples::default()
    };
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    for precision in [Precision::F32, Precision::F64] {
        for spectrum in [true, false] {
            let request = Request {
                precision,
                loss: LossKind::Mse,
                properties: Vec::new(),
                group: None,
                spectrum,
                gram: spectrum,
                grams: Vec::new(),
                probes: None,
            };
            let found = measure(&shape, &identity, &examples, &request).unwrap();
            assert_eq!(
                (found.scalars["zero_gradients"], found.scalars["loss"]),
                (Some(4.0), Some(0.0))
            );
            assert_eq!(found.scalars["accuracy"], Some(1.0));
            assert!(found.gram.is_none_or(|gram| gram.iter().all(|k| *k == 0.0)));
            for name in [
                "mean_cosine",
                "coherence",
                "raw.erank_sigma",
                "raw.participation_ratio",
                "centred.stable_rank",
            ] {
                assert_eq!(found.scalars[name], None, "{name}");
            }
        }
    }
}
