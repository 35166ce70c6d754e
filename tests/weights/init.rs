//! Initial weights: their scales, and on what a draw depends.

use std::collections::HashMap;

use gmatrix::Result;
use gmatrix::config::{Init, MlpInput, ModelConfig};
use gmatrix::model::weights::{WeightType, to_tensors};
use gmatrix::model::{Activation, Layout, MlpShape, ModelShape, Norm, TransformerShape, initial_weights};
use gmatrix::random::{Purpose, Stream};

use super::transformer;

fn standard_deviation(weights: &[f64]) -> f64 {
    (weights.iter().map(|x| x * x).sum::<f64>() / weights.len() as f64).sqrt()
}

#[test]
fn initial_weights_have_the_documented_scales() {
    let transformer = ModelShape::Transformer(TransformerShape {
        layers: 1,
        d_model: 64,
        heads: 4,
        d_mlp: 256,
        activation: Activation::Relu,
        norm: Norm::Pre,
        attention_biases: false,
        unembed_bias: false,
        attention_mix: 0.0,
        n_ctx: 16,
        d_vocab: 60,
        d_vocab_out: 59,
    });
    let mlp = ModelShape::Mlp(MlpShape {
        input: MlpInput::OneHot,
        d_vocab: 59,
        n_ctx: 2,
        d_model: 0,
        hidden: vec![500],
        activation: Activation::Quadratic,
        bias: true,
        d_vocab_out: 59,
    });
    let gromov = 0.5 / 1000f64.cbrt();
    type Scales<'a> = &'a [(&'a str, f64)];
    let cases: [(&ModelShape, Init, Scales); 4] = [
        (
            &transformer,
            Init::Nanda,
            &[
                ("embed.W_E", 0.125),
                ("pos_embed.W_pos", 0.125),
                ("blocks.0.attn.W_Q", 0.125),
                ("blocks.0.attn.W_KV", 0.125),
                ("blocks.0.attn.W_O", 0.125),
                ("blocks.0.mlp.W_in", 0.125),
                ("blocks.0.mlp.W_out", 0.125),
                ("unembed.W_U", 1.0 / 59f64.sqrt()),
            ],
        ),
        (
            &transformer,
            Init::FanIn,
            &[
                ("embed.W_E", 0.125),
                ("blocks.0.mlp.W_out", 1.0 / 16.0),
                ("unembed.W_U", 0.125),
            ],
        ),
        (&mlp, Init::Gromov, &[("layers.0.W", gromov), ("layers.1.W", gromov)]),
        (
            &mlp,
            Init::FanIn,
            &[("layers.0.W", 1.0 / 118f64.sqrt()), ("layers.1.W", 1.0 / 500f64.sqrt())],
        ),
    ];
    for (shape, init, expected) in cases {
        let config = ModelConfig {
            init,
            init_scale: 2.0,
            ..ModelConfig::default()
        };
        let weights = initial_weights(shape, &config, 0);
        let layout = Layout::new(shape);
        for (name, sd) in expected {
            let tensor = layout.tensor(name);
            let measured = standard_deviation(&weights[tensor.offset..][..tensor.len()]) / 2.0;
            // The relative standard error of a standard deviation is 1/sqrt(2n).
            let bound = 5.0 * sd / (2.0 * tensor.len() as f64).sqrt();
            assert!(
                (measured - sd).abs() < bound,
                "{init:?} {name}: {measured}, expected {sd}"
            );
        }
        for tensor in &layout.tensors {
            let values = &weights[tensor.offset..][..tensor.len()];
            let fixed = match tensor.name.rsplit_once('.').map(|(_, last)| last) {
                Some("w") => 1.0,
                Some(last) if last.starts_with('b') => 0.0,
                _ => continue,
            };
            assert!(values.iter().all(|&x| x == fixed), "{}", tensor.name);
        }
    }
}

#[test]
fn initial_weights_are_drawn_in_file_order_by_name() -> Result<()> {
    let config = ModelConfig {
        init: Init::FanIn,
        ..ModelConfig::default()
    };
    let of = |shape: &ModelShape, seed| -> Result<HashMap<String, Vec<u8>>> {
        let weights = initial_weights(shape, &config, seed);
        let tensors = to_tensors(shape, &weights, WeightType::F64)?;
        Ok(tensors.into_iter().map(|t| (t.name, t.bytes)).collect())
    };
    let (plain, normed) = (of(&transformer(1, Norm::None), 0)?, of(&transformer(2, Norm::Pre), 0)?);
    for (name, bytes) in &plain {
        assert_eq!(bytes, &normed[name], "{name} depends on the other tensors");
    }
    // FNV-1a of "blocks.0.attn.W_V", computed by another program; [heads, d_model, d_head] in file order.
    let stream = Stream::new(0, Purpose::InitialWeights).substream(W_V_HASH);
    let expected: Vec<u8> = (0..36)
        .flat_map(|i| (stream.normal(i) / 6f64.sqrt()).to_le_bytes())
        .collect();
    assert_eq!(doubles(&plain["blocks.0.attn.W_V"]), doubles(&expected));
    assert_ne!(plain["blocks.0.attn.W_Q"], plain["blocks.0.attn.W_K"]);
    assert_ne!(plain["embed.W_E"], of(&transformer(1, Norm::None), 1)?["embed.W_E"]);
    Ok(())
}

const W_V_HASH: u32 = 0x11F0_51EC;

/// To nine digits: a product may be rounded otherwise than a quotient.
fn doubles(bytes: &[u8]) -> Vec<i64> {
    let values = bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b));
    values.map(|x| (x * 1e9).round() as i64).collect()
}
