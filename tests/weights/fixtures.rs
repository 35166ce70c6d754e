//! The oracle's networks, and files that TransformerLens itself wrote.

use std::path::{Path, PathBuf};

use gmatrix::Result;
use gmatrix::model::weights::{Overrides, read_weights};
use gmatrix::model::{Activation, ModelShape, Norm};
use gmatrix::task::Examples;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn the_oracles_networks_are_read_with_their_data() -> Result<()> {
    let mut read = 0;
    for case in std::fs::read_dir(fixtures())
        .expect("fixtures")
        .map(|entry| entry.expect("entry").path())
    {
        // Other fixtures are steps of optimisers, of networks that are among these.
        if !case.join("expected.json").is_file() {
            continue;
        }
        let file = case.join("weights.safetensors");
        let (shape, weights) = read_weights(&file, Overrides::default())?;
        let text = std::fs::read_to_string(case.join("expected.json")).expect("readable");
        let expected: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(expected["parameters"], weights.len(), "{}", case.display());
        let norm = weights.iter().map(|x| x * x).sum::<f64>().sqrt();
        let expected_norm = expected["weight_norm"].as_f64().expect("a number");
        assert!(
            (norm - expected_norm).abs() <= 1e-12 * expected_norm,
            "{}",
            case.display()
        );

        let data = case.join("data.safetensors");
        let examples = Examples::read(&data)?;
        assert_eq!(expected["n"], examples.n, "{}", case.display());
        examples.check_against(&shape, &data)?;
        read += 1;
    }
    assert!(read >= 15, "only {read} fixtures");
    Ok(())
}

#[test]
fn files_of_transformer_lens_are_read_without_a_configuration() -> Result<()> {
    for (name, layers, activation, norm) in [
        ("transformer_lens", 1, Activation::Relu, Norm::None),
        ("transformer_lens_pre", 2, Activation::Gelu, Norm::Pre),
    ] {
        let data = fixtures().join(format!("{name}_expected.safetensors"));
        let examples = Examples::read(&data)?;
        let overrides = Overrides::for_examples(&examples, Some(activation));
        let (shape, _) = read_weights(fixtures().join(format!("{name}.safetensors")), overrides)?;
        examples.check_against(&shape, &data)?;
        let ModelShape::Transformer(shape) = shape else {
            panic!("{name}: expected a transformer");
        };
        assert_eq!((shape.layers, shape.activation, shape.norm), (layers, activation, norm));
        assert!(
            shape.attention_biases && shape.unembed_bias,
            "TransformerLens has them all"
        );
        assert_eq!(
            (shape.d_model, shape.heads, shape.d_vocab, shape.d_vocab_out),
            (12, 3, 8, 7)
        );
    }
    Ok(())
}
