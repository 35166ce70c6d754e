//! Reading weights.

use std::collections::HashSet;
use std::path::Path;

use super::CONFIG_KEY;
use super::infer::{Overrides, has_attention_biases, has_unembed_bias, infer_shape};
use crate::config::MlpInput;
use crate::error::Result;
use crate::model::{Activation, Layout, ModelShape};
use crate::tensor_file::{TensorFile, read_bytes};

/// Biases that TransformerLens writes and a network may lack: then they must do nothing.
const OPTIONAL_BIASES: [&str; 5] = ["attn.b_Q", "attn.b_K", "attn.b_V", "attn.b_O", "unembed.b_U"];
/// Buffers of TransformerLens that are no parameters.
const IGNORED: [&str; 2] = ["attn.mask", "attn.IGNORE"];

/// Reads the shape of a network and its weights, in the order of the arena.
///
/// # Errors
/// If the file is incomplete, lacks a tensor or has an unknown one, or a tensor has a wrong shape or type or holds NaN
/// or infinity; the message names the file, the tensor and the element. Biases of attention and unembedding are
/// parameters where the file holds them, unless it states a configuration without them: then they must be zero.
pub fn read_weights(path: impl AsRef<Path>, overrides: Overrides) -> Result<(ModelShape, Vec<f64>)> {
    let path = path.as_ref();
    let bytes = read_bytes(path)?;
    let file = TensorFile::parse(path, &bytes)?;
    let shape = read_shape(&file, overrides)?;
    let layout = Layout::new(&shape);
    check_tensors(&file, &layout)?;

    let mut weights = vec![0.0; layout.len];
    for external in &layout.externals {
        let values = file.floats(&external.name)?;
        for (at, value) in external.indices(&layout).zip(values) {
            weights[at] = value;
        }
    }
    Ok((shape, weights))
}

fn read_shape(file: &TensorFile, overrides: Overrides) -> Result<ModelShape> {
    let shape = match file.metadata(CONFIG_KEY) {
        None => infer_shape(file, overrides)?,
        Some(json) => {
            let stated = stated_shape(file, json)
                .map_err(|e| file.error(format!("metadata `{CONFIG_KEY}` describes no network: {e}")))?;
            check_activation(file, &stated, overrides)?;
            without_idle_fields(stated)
        }
    };
    shape
        .check()
        .and_then(|()| shape.check_sizes())
        .map_err(|e| file.error(e))?;
    // Every layer has a tensor. Checked first, since a layout of absent layers could exhaust the memory.
    let layers = match &shape {
        ModelShape::Transformer(s) => s.layers,
        ModelShape::Mlp(s) => s.hidden.len(),
    };
    if layers > file.names().len() {
        return Err(file.error(format!(
            "has {} tensors, too few for {layers} layers",
            file.names().len()
        )));
    }
    Ok(shape)
}

/// The shape in a file's metadata. Whether there are optional biases is seen in the tensors where it is not stated.
fn stated_shape(file: &TensorFile, json: &str) -> serde_json::Result<ModelShape> {
    let stated: ModelShape = serde_json::from_str(json)?;
    let ModelShape::Transformer(mut shape) = stated else {
        return Ok(stated);
    };
    let keys: serde_json::Value = serde_json::from_str(json)?;
    if keys.get("attention_biases").is_none() {
        shape.attention_biases = has_attention_biases(file);
    }
    if keys.get("unembed_bias").is_none() {
        shape.unembed_bias = has_unembed_bias(file);
    }
    Ok(ModelShape::Transformer(shape))
}

fn check_activation(file: &TensorFile, stated: &ModelShape, overrides: Overrides) -> Result<()> {
    let activation = match stated {
        ModelShape::Transformer(s) => s.activation,
        ModelShape::Mlp(s) => s.activation,
    };
    match overrides.activation {
        Some(asked) if asked != activation => Err(file.error(format!(
            "states activation {}, which contradicts the requested {}",
            name_of(activation),
            name_of(asked)
        ))),
        _ => Ok(()),
    }
}

/// As configurations write it.
fn name_of(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::Quadratic => "quadratic",
    }
}

/// The shape with the values that fields without a meaning have by convention, so that equal networks compare equal.
fn without_idle_fields(shape: ModelShape) -> ModelShape {
    match shape {
        ModelShape::Mlp(mut s) => {
            match s.input {
                MlpInput::OneHot => s.d_model = 0,
                MlpInput::Embedding => {}
                MlpInput::Float => (s.d_vocab, s.n_ctx) = (0, 1),
            }
            ModelShape::Mlp(s)
        }
        transformer => transformer,
    }
}

/// Checks that the file holds the tensors of the layout in their shapes, and nothing else that matters.
fn check_tensors(file: &TensorFile, layout: &Layout) -> Result<()> {
    for external in &layout.externals {
        let tensor = file.tensor(&external.name)?;
        if tensor.shape() != external.shape {
            return Err(file.error(format!(
                "{} has shape {:?}, expected {:?}",
                external.name,
                tensor.shape(),
                external.shape
            )));
        }
    }
    let known: HashSet<&str> = layout.externals.iter().map(|e| e.name.as_str()).collect();
    for name in file.names() {
        if known.contains(name) || is_one_of(name, &IGNORED) {
            continue;
        }
        if !is_one_of(name, &OPTIONAL_BIASES) {
            return Err(file.error(format!("holds tensor {name}, which this network does not have")));
        }
        if file.floats(name)?.iter().any(|&x| x != 0.0) {
            return Err(file.error(format!(
                "{name} is not zero, but the configuration in its metadata has no such bias"
            )));
        }
    }
    Ok(())
}

/// Whether `name`, without the number of its block, is one of `names`.
fn is_one_of(name: &str, names: &[&str]) -> bool {
    let in_block = name
        .strip_prefix("blocks.")
        .and_then(|rest| rest.split_once('.'))
        .filter(|(number, _)| number.parse::<usize>().is_ok())
        .map(|(_, rest)| rest);
    names.contains(&in_block.unwrap_or(name))
}
