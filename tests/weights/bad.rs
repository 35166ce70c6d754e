//! Bad files are refused in one line that names the file and the tensor.

use std::collections::BTreeMap;

use gmatrix::ErrorKind;
use gmatrix::config::MlpInput;
use gmatrix::model::weights::{Overrides, WeightType, read_weights, shape_metadata, write_weights};
use gmatrix::model::{Activation, Norm};
use proptest::prelude::*;
use safetensors::Dtype;

use super::{Raw, mlp, overrides, temporary, transformer};

#[test]
fn bad_files_are_refused_by_name_and_tensor() {
    let shape = transformer(1, Norm::None);
    let good = Raw::of(&shape);
    let (_dir, path) = temporary();
    type Change = fn(&mut Raw);
    let cases: [(Change, &str); 14] = [
        (
            |r| drop(r.tensors.remove("blocks.0.mlp.b_in")),
            "has no tensor blocks.0.mlp.b_in",
        ),
        (
            |r| drop(r.tensors.remove("blocks.0.attn.W_Q")),
            "has neither blocks.0.attn.W_Q",
        ),
        (
            |r| r.zeros("blocks.0.mlp.W_out", &[6, 5]),
            "blocks.0.mlp.W_out has shape [6, 5], expected [5, 6]",
        ),
        (
            |r| r.zeros("blocks.0.attn.W_Q", &[6, 6]),
            "W_Q has shape [6, 6], expected [heads, d_model, d_head]",
        ),
        (
            |r| r.zeros("blocks.0.attn.W_Q", &[4, 6, 2]),
            "heads = 4 does not divide d_model = 6",
        ),
        (|r| r.zeros("embed.W_E", &[8, 0]), "d_model is 0"),
        (
            |r| r.set("blocks.0.attn.W_K", 2 * 12 + 3 * 2 + 1, f64::NAN),
            "blocks.0.attn.W_K[2, 3, 1] is NaN",
        ),
        (
            |r| r.set("blocks.0.mlp.b_out", 4, f64::NEG_INFINITY),
            "blocks.0.mlp.b_out[4] is -inf",
        ),
        (
            |r| r.zeros("blocks.0.attn.W_QK", &[1]),
            "holds tensor blocks.0.attn.W_QK",
        ),
        (|r| r.zeros("blocks.1.mlp.b_in", &[5]), "holds tensor blocks.1.mlp.b_in"),
        (|r| r.zeros("mask", &[1]), "holds tensor mask"),
        (
            |r| {
                let (_, shape, _) = r.tensors["unembed.W_U"].clone();
                let bytes = vec![0; 8 * shape.iter().product::<usize>()];
                r.tensors.insert("unembed.W_U".into(), (Dtype::I64, shape, bytes));
            },
            "unembed.W_U is I64, expected F16, BF16, F32 or F64",
        ),
        (
            |r| r.metadata = Some(BTreeMap::from([("config".into(), "{\"kind\": \"cnn\"}".into())])),
            "metadata `config` describes no network",
        ),
        (
            |r| r.metadata = Some(shape_metadata(&transformer(4096, Norm::None))),
            "too few for 4096 layers",
        ),
    ];
    for (change, expected) in cases {
        let mut raw = good.clone();
        change(&mut raw);
        raw.write(&path);
        let message = read_weights(&path, overrides(&shape)).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}, expected {expected}");
        assert!(
            message.contains("w.safetensors: ") && !message.contains('\n'),
            "{message}"
        );
    }
}

#[test]
fn a_stated_shape_must_fit_the_tensors_and_the_flags() {
    let shape = transformer(1, Norm::None);
    let (_dir, path) = temporary();
    let mut raw = Raw::of(&shape);
    let refused = |raw: &Raw, overrides: Overrides, expected: &str| {
        raw.write(&path);
        let message = read_weights(&path, overrides).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}, expected {expected}");
    };
    raw.metadata = Some(shape_metadata(&transformer(1, Norm::Pre)));
    refused(&raw, Overrides::default(), "has no tensor blocks.0.ln1.w");
    raw.metadata = Some(shape_metadata(&shape));
    let gelu = Overrides {
        activation: Some(Activation::Gelu),
        ..Overrides::default()
    };
    refused(
        &raw,
        gelu,
        "states activation relu, which contradicts the requested gelu",
    );
    let json = r#"{"kind": "mlp", "input": "one_hot", "d_vocab": 4611686018427387904, "n_ctx": 4, "d_model": 0,
        "hidden": [], "activation": "relu", "bias": false, "d_vocab_out": 5}"#;
    raw.metadata = Some(BTreeMap::from([("config".into(), json.into())]));
    refused(&raw, Overrides::default(), "d_vocab = 4611686018427387904");
}

#[test]
fn an_mlp_without_an_embedding_needs_to_be_told_its_tokens() {
    let (_dir, path) = temporary();
    Raw::of(&mlp(MlpInput::OneHot, false)).write(&path);
    for (n_ctx, expected) in [(None, "metadata `config`"), (Some(3), "expected a multiple of 3")] {
        let asked = Overrides {
            n_ctx,
            ..Overrides::default()
        };
        let message = read_weights(&path, asked).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn files_cut_anywhere_are_refused() {
    let (_dir, path) = temporary();
    let shape = transformer(1, Norm::None);
    let whole = Raw::of(&shape).bytes();
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..length]).expect("writable");
        let message = read_weights(&path, Overrides::default()).expect_err("cut").to_string();
        assert!(
            message.contains("w.safetensors: ") && message.contains("truncated") && !message.contains('\n'),
            "{message}"
        );
    }
    assert!(read_weights(path.with_file_name("absent"), Overrides::default()).is_err());
}

#[test]
fn a_wrong_number_of_weights_is_refused() {
    let (_dir, path) = temporary();
    let error = write_weights(&path, &transformer(1, Norm::None), &[0.0f32; 3], WeightType::F32).expect_err("too few");
    assert!(matches!(error.kind(), ErrorKind::Shape(_)), "{error}");
    assert!(!path.exists());
}

proptest! {
    #[test]
    fn no_file_makes_reading_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), stated in any::<bool>()) {
        let (_dir, path) = temporary();
        let shape = transformer(1, Norm::Pre);
        let mut raw = Raw::of(&shape);
        raw.metadata = stated.then(|| shape_metadata(&shape));
        let mut bytes = raw.bytes();
        // The header is what can mislead; the numbers behind it are only numbers.
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let at = at.index(header);
        bytes[at] = byte;
        std::fs::write(&path, &bytes).expect("writable");
        let _ = read_weights(&path, Overrides::default());
    }
}
