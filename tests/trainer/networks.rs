//! Random networks of all kinds, and few samples for them.

use gmatrix::backend::Precision;
use gmatrix::config::{LossKind, MlpInput};
use gmatrix::measure::{Measurement, Request, measure, per_sample_gradients};
use gmatrix::model::{Activation, Layout, MlpShape, ModelShape, Norm, TransformerShape};
use gmatrix::random::{Purpose, Stream};
use gmatrix::task::Examples;
use proptest::prelude::*;

/// A network with random weights, and samples for it.
#[derive(Debug, Clone)]
pub struct Setting {
    pub shape: ModelShape,
    pub examples: Examples,
    pub loss: LossKind,
    pub seed: u64,
}

impl Setting {
    pub fn weights(&self) -> Vec<f64> {
        let noise = Stream::new(self.seed, Purpose::InitialWeights);
        (0..Layout::new(&self.shape).len as u64)
            .map(|k| 0.5 * noise.normal(k))
            .collect()
    }

    pub fn request(&self) -> Request {
        Request {
            precision: Precision::F64,
            loss: self.loss,
            properties: Vec::new(),
            group: None,
            spectrum: true,
            gram: true,
            grams: Vec::new(),
            probes: None,
        }
    }

    pub fn measure(&self, examples: &Examples) -> Measurement {
        measure(&self.shape, &self.weights(), examples, &self.request()).unwrap()
    }

    pub fn gradients(&self) -> Vec<Vec<f64>> {
        let mut rows = Vec::new();
        let add = |_, gradient: &[f64]| {
            rows.push(gradient.to_vec());
            Ok(())
        };
        per_sample_gradients(&self.shape, &self.weights(), &self.examples, &self.request(), add).unwrap();
        rows
    }
}

/// Samples with repeated tokens, repeated samples and contradicting labels, as few values make them.
pub fn examples(shape: &ModelShape, n: usize, seed: u64) -> Examples {
    let draw = Stream::new(seed, Purpose::Split);
    let t = shape.n_ctx();
    let width = shape.input_width().unwrap_or(0);
    let tokens = if width > 0 { 0 } else { n * t };
    Examples {
        tokens: (0..tokens as u64)
            .map(|k| draw.below(k, shape.d_vocab() as u32))
            .collect(),
        inputs: (0..(n * width) as u64).map(|k| draw.substream(1).normal(k)).collect(),
        labels: (0..n as u64)
            .map(|k| draw.substream(2).below(k, shape.classes() as u32))
            .collect(),
        n,
        t,
        width,
    }
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Gelu),
        Just(Activation::Quadratic)
    ]
}

fn transformers() -> impl Strategy<Value = ModelShape> {
    let sizes = (
        1..=2usize,
        1..=2usize,
        1..=3usize,
        1..=5usize,
        1..=4usize,
        1..=5usize,
        2..=5usize,
    );
    let norms = prop_oneof![Just(Norm::None), Just(Norm::Pre)];
    let biases = (any::<bool>(), any::<bool>());
    (sizes, activations(), norms, biases).prop_map(
        |(
            (layers, heads, d_head, d_mlp, n_ctx, d_vocab, classes),
            activation,
            norm,
            (attention_biases, unembed_bias),
        )| {
            ModelShape::Transformer(TransformerShape {
                layers,
                d_model: heads * d_head,
                heads,
                d_mlp,
                activation,
                norm,
                attention_biases,
                unembed_bias,
                attention_mix: 0.0,
                n_ctx,
                d_vocab,
                d_vocab_out: classes,
            })
        },
    )
}

fn mlps() -> impl Strategy<Value = ModelShape> {
    let inputs = prop_oneof![Just(MlpInput::OneHot), Just(MlpInput::Embedding), Just(MlpInput::Float)];
    let sizes = (1..=3usize, 1..=5usize, 1..=4usize, 2..=5usize);
    let hidden = prop::collection::vec(1..=6usize, 0..=2);
    (inputs, sizes, hidden, activations(), any::<bool>()).prop_map(
        |(input, (n_ctx, d_vocab, d_model, classes), hidden, activation, bias)| {
            ModelShape::Mlp(MlpShape {
                input,
                d_vocab: if input == MlpInput::Float { 0 } else { d_vocab },
                n_ctx: if input == MlpInput::Float { 1 } else { n_ctx },
                d_model: if input == MlpInput::OneHot { 0 } else { d_model },
                hidden,
                activation,
                bias,
                d_vocab_out: classes,
            })
        },
    )
}

pub fn settings() -> impl Strategy<Value = Setting> {
    let losses = prop_oneof![
        Just(LossKind::CrossEntropy),
        Just(LossKind::CrossEntropyNaive),
        Just(LossKind::Mse)
    ];
    let shapes = prop_oneof![transformers(), mlps()];
    (shapes, losses, 1..=9usize, 0..1000u64).prop_map(|(shape, loss, n, seed)| Setting {
        examples: examples(&shape, n, seed),
        shape,
        loss,
        seed,
    })
}
