//! Reading safetensors: values of every number type we accept, and errors that name the file and the tensor.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::{Error, Result};

/// A parsed file; borrows the bytes it was read from.
pub(crate) struct TensorFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
}

/// The bytes of a file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

impl<'a> TensorFile<'a> {
    /// Parses the bytes read from `path`.
    pub(crate) fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let explain = |e: SafeTensorError| match e {
            SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::HeaderTooSmall => Error::io(
                path,
                "truncated, or longer than its header says: not a complete safetensors file",
            ),
            // What is no safetensors file at all states a random length for its header.
            SafeTensorError::InvalidHeaderLength => {
                Error::io(path, "not a safetensors file, or truncated within its header")
            }
            e => Error::io(path, format!("not a safetensors file: {e}")),
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(explain)?;
        Ok(Self {
            path,
            tensors: SafeTensors::deserialize(bytes).map_err(explain)?,
            metadata: header.metadata().clone().unwrap_or_default(),
        })
    }

    /// An error about this file.
    pub(crate) fn error(&self, reason: impl ToString) -> Error {
        Error::io(self.path, reason)
    }

    /// The value of a metadata key.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Names of all metadata keys.
    pub(crate) fn metadata_keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }

    /// Names of all tensors, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = self.tensors.names();
        names.sort_unstable();
        names
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// The tensor of this name.
    pub(crate) fn tensor(&self, name: &str) -> Result<TensorView<'a>> {
        self.tensors
            .tensor(name)
            .map_err(|_| self.error(format!("has no tensor {name}")))
    }

    /// The shape of a tensor that must have `D` axes; `axes` says which, as `[N, T]`.
    pub(crate) fn dims<const D: usize>(&self, name: &str, axes: &str) -> Result<[usize; D]> {
        let tensor = self.tensor(name)?;
        tensor
            .shape()
            .try_into()
            .map_err(|_| self.error(format!("{name} has shape {:?}, expected {axes}", tensor.shape())))
    }

    /// A tensor of F16, BF16, F32 or F64, all of whose values must be finite.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f64>> {
        let tensor = self.tensor(name)?;
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F16 => decode(data, |b| f16_to_f64(u16::from_le_bytes(b))),
            Dtype::BF16 => decode(data, |b| {
                f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            }),
            Dtype::F32 => decode(data, |b| f64::from(f32::from_le_bytes(b))),
            Dtype::F64 => decode(data, f64::from_le_bytes),
            other => return Err(self.error(format!("{name} is {other}, expected F16, BF16, F32 or F64"))),
        };
        if let Some(i) = values.iter().position(|x: &f64| !x.is_finite()) {
            return Err(self.error(format!(
                "{} is {}, expected a finite number",
                element(name, tensor.shape(), i),
                values[i]
            )));
        }
        Ok(values)
    }

    /// A tensor of any integer type, all of whose values must be in [0, 2^32).
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<u32>> {
        let tensor = self.tensor(name)?;
        let data = tensor.data();
        let values: Vec<i128> = match tensor.dtype() {
            Dtype::U8 => decode(data, |b| u8::from_le_bytes(b).into()),
            Dtype::I8 => decode(data, |b| i8::from_le_bytes(b).into()),
            Dtype::U16 => decode(data, |b| u16::from_le_bytes(b).into()),
            Dtype::I16 => decode(data, |b| i16::from_le_bytes(b).into()),
            Dtype::U32 => decode(data, |b| u32::from_le_bytes(b).into()),
            Dtype::I32 => decode(data, |b| i32::from_le_bytes(b).into()),
            Dtype::U64 => decode(data, |b| u64::from_le_bytes(b).into()),
            Dtype::I64 => decode(data, |b| i64::from_le_bytes(b).into()),
            other => return Err(self.error(format!("{name} is {other}, expected integers"))),
        };
        let narrow = |(i, &x): (usize, &i128)| {
            u32::try_from(x).map_err(|_| {
                let at = element(name, tensor.shape(), i);
                self.error(format!("{at} is {x}, expected an integer from 0 to {}", u32::MAX))
            })
        };
        values.iter().enumerate().map(narrow).collect()
    }
}

fn decode<const W: usize, T>(data: &[u8], value: impl Fn([u8; W]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|&bytes| value(bytes)).collect()
}

/// IEEE binary16: 1 sign, 5 exponent and 10 fraction bits.
fn f16_to_f64(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3FF);
    let magnitude = match i32::from(bits >> 10 & 0x1F) {
        0 => fraction * (-24f64).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * f64::from(exponent - 25).exp2(),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// How an element is named: `embed.W_E[3, 5]` for its index in row-major order.
fn element(name: &str, shape: &[usize], flat: usize) -> String {
    let mut stride: usize = shape.iter().product();
    let mut rest = flat;
    let mut text = format!("{name}[");
    for (axis, &size) in shape.iter().enumerate() {
        stride /= size;
        let separator = if axis == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{}", rest / stride);
        rest %= stride;
    }
    text + "]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_their_ieee_values() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 2f64.powi(-24)),
            (0x03FF, 1023.0 * 2f64.powi(-24)),
            (0x0400, 2f64.powi(-14)),
            (0x3C00, 1.0),
            (0x3555, 0.333_251_953_125),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0xFC00, f64::NEG_INFINITY),
        ] {
            assert_eq!(f16_to_f64(bits), value, "{bits:#06x}");
        }
        assert!(f16_to_f64(0x7E00).is_nan());
    }

    #[test]
    fn elements_are_named_by_row_and_column() {
        assert_eq!(element("w", &[2, 3, 4], 23), "w[1, 2, 3]");
        assert_eq!(element("w", &[5], 4), "w[4]");
        assert_eq!(element("w", &[], 0), "w[]");
    }
}
