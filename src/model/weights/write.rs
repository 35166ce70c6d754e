//! Writing weights.

use std::collections::BTreeMap;
use std::path::Path;

use super::CONFIG_KEY;
use crate::error::{Error, Result};
use crate::model::{Layout, ModelShape};
use crate::tensors::{NamedTensor, TensorSet};

/// Number type of written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
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
        named(&external.name, &external.shape, in_file_order, dtype)
    });
    Ok(tensors.collect())
}

/// A tensor of these values, row-major, rounded where its type is shorter.
pub(super) fn named(name: &str, shape: &[usize], values: impl Iterator<Item = f64>, dtype: WeightType) -> NamedTensor {
    match dtype {
        WeightType::F32 => NamedTensor::new(name, shape, &values.map(|x| x as f32).collect::<Vec<_>>()),
        WeightType::F64 => NamedTensor::new(name, shape, &values.collect::<Vec<_>>()),
    }
}

/// The metadata of a weights file: the shape of the network.
pub fn shape_metadata(shape: &ModelShape) -> BTreeMap<String, String> {
    let json = serde_json::to_string(shape).expect("a shape is numbers and names");
    BTreeMap::from([(CONFIG_KEY.to_owned(), json)])
}

/// Writes a weights file. An existing file is replaced only when the new one is complete.
///
/// # Errors
/// If `weights` has not one number for each parameter, or the file cannot be written.
pub fn write_weights<F>(path: impl AsRef<Path>, shape: &ModelShape, weights: &[F], dtype: WeightType) -> Result<()>
where
    F: Copy + Into<f64>,
{
    let file = TensorSet {
        tensors: to_tensors(shape, weights, dtype)?,
        metadata: shape_metadata(shape),
    };
    file.write(path.as_ref())
}
