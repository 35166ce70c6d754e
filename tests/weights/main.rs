//! Weights: initial draws, files that come back as they were, files of other programs, and bad files.

mod bad;
mod files;
mod fixtures;
mod init;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gmatrix::config::MlpInput;
use gmatrix::model::weights::{Overrides, WeightType, to_tensors};
use gmatrix::model::{Activation, Layout, MlpShape, ModelShape, Norm, TransformerShape};
use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;

fn transformer(layers: usize, norm: Norm) -> ModelShape {
    ModelShape::Transformer(TransformerShape {
        layers,
        d_model: 6,
        heads: 3,
        d_mlp: 5,
        activation: Activation::Relu,
        norm,
        attention_biases: false,
        unembed_bias: false,
        attention_mix: 0.0,
        n_ctx: 4,
        d_vocab: 8,
        d_vocab_out: 7,
    })
}

fn mlp(input: MlpInput, bias: bool) -> ModelShape {
    ModelShape::Mlp(MlpShape {
        input,
        d_vocab: if input == MlpInput::Float { 0 } else { 5 },
        n_ctx: if input == MlpInput::Float { 1 } else { 2 },
        d_model: if input == MlpInput::OneHot { 0 } else { 3 },
        hidden: vec![4, 6],
        activation: Activation::Relu,
        bias,
        d_vocab_out: 5,
    })
}

fn shapes() -> Vec<ModelShape> {
    let mut shapes = vec![transformer(1, Norm::None), transformer(2, Norm::Pre)];
    for input in [MlpInput::OneHot, MlpInput::Embedding, MlpInput::Float] {
        shapes.extend([mlp(input, false), mlp(input, true)]);
    }
    shapes
}

/// What the data would tell about a network of this shape.
fn overrides(shape: &ModelShape) -> Overrides {
    Overrides {
        activation: None,
        n_ctx: Some(shape.n_ctx()),
        real_inputs: shape.input_width().is_some(),
    }
}

/// Distinct weights, so that no exchange of two goes unseen.
fn distinct(shape: &ModelShape) -> Vec<f64> {
    (1..=Layout::new(shape).len).map(|i| i as f64 / 8.0).collect()
}

fn temporary() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("w.safetensors");
    (dir, path)
}

/// A file as a table, for tampering.
#[derive(Clone)]
struct Raw {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    metadata: Option<BTreeMap<String, String>>,
}

impl Raw {
    fn of(shape: &ModelShape) -> Self {
        let tensors = to_tensors(shape, &distinct(shape), WeightType::F64).expect("as many as parameters");
        Self {
            tensors: tensors
                .into_iter()
                .map(|t| (t.name, (Dtype::F64, t.shape, t.bytes)))
                .collect(),
            metadata: None,
        }
    }

    fn zeros(&mut self, name: &str, shape: &[usize]) {
        let bytes = vec![0; 8 * shape.iter().product::<usize>()];
        self.tensors
            .insert(name.to_owned(), (Dtype::F64, shape.to_vec(), bytes));
    }

    fn set(&mut self, name: &str, index: usize, value: f64) {
        let bytes = &mut self.tensors.get_mut(name).expect("tensor").2;
        bytes[8 * index..8 * index + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn bytes(&self) -> Vec<u8> {
        let views = self
            .tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).expect("sound")));
        safetensors::serialize(views, self.metadata.clone().map(|keys| keys.into_iter().collect()))
            .expect("serialisable")
    }

    fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes()).expect("writable");
    }
}
