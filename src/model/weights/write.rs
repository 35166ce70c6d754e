//! Writing weights.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::{Dtype, View};

use super::CONFIG_KEY;
use crate::error::{Error, Result};
use crate::model::{Layout, ModelShape};

/// Number type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
}

/// A tensor ready to be written: what safetensors needs, under the name that files know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTensor {
    /// Name in the file.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Number type.
    pub dtype: WeightType,
    /// Values, row-major and little-endian.
    pub bytes: Vec<u8>,
}

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            WeightType::F32 => Dtype::F32,
            WeightType::F64 => Dtype::F64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The parameters of a network, given in the order of the arena, as the tensors that files hold.
///
/// Any other array of P numbers in the same order (moments, a gradient) can be written the same way.
///
/// # Errors
/// If `values` has not one number for each parameter.
pub fn to_tensors<F>(shape: &ModelShape, values: &[F], dtype: WeightType) -> Result<Vec<NamedTensor>>
where
    F: Copy + Into<f64>,
{
    let layout = Layout::new(shape);
    if values.len() != layout.len {
        return Err(Error::shape(format!(
            "weights: {} numbers, expected {}",
            values.len(),
            layout.len
        )));
    }
    let tensors = layout.externals.iter().map(|external| {
        let in_file_order = external.indices(&layout).map(|at| values[at].into());
        NamedTensor {
            name: external.name.clone(),
            shape: external.shape.clone(),
            dtype,
            bytes: match dtype {
                WeightType::F32 => in_file_order.flat_map(|x| (x as f32).to_le_bytes()).collect(),
                WeightType::F64 => in_file_order.flat_map(f64::to_le_bytes).collect(),
            },
        }
    });
    Ok(tensors.collect())
}

/// The metadata of a weights file: the shape of the network.
pub fn shape_metadata(shape: &ModelShape) -> HashMap<String, String> {
    let json = serde_json::to_string(shape).expect("a shape is numbers and names");
    HashMap::from([(CONFIG_KEY.to_owned(), json)])
}

/// Writes a weights file. An existing file is replaced only when the new one is complete.
///
/// # Errors
/// If `weights` has not one number for each parameter, or the file cannot be written.
pub fn write_weights<F>(path: impl AsRef<Path>, shape: &ModelShape, weights: &[F], dtype: WeightType) -> Result<()>
where
    F: Copy + Into<f64>,
{
    let path = path.as_ref();
    let tensors = to_tensors(shape, weights, dtype)?;
    let bytes = safetensors::serialize(tensors.iter().map(|t| (&t.name, t)), Some(shape_metadata(shape)))
        .map_err(|e| Error::io(path, e))?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    std::fs::write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .map_err(|e| Error::io(path, e))
}
