//! Named tensors and the safetensors files that hold them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::View;

pub use safetensors::Dtype;

use crate::error::{Error, Result};
use crate::files;

/// A tensor as files hold it: row-major, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTensor {
    /// Name in the file.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Shape; empty for a single number.
    pub shape: Vec<usize>,
    /// The elements.
    pub bytes: Vec<u8>,
}

/// A Rust type that a tensor can have as its element.
pub trait Element: bytemuck::Pod {
    /// Its name in files.
    const DTYPE: Dtype;
}

macro_rules! elements {
    ($($t:ty => $dtype:ident),*) => {
        $(impl Element for $t {
            const DTYPE: Dtype = Dtype::$dtype;
        })*
    };
}
elements!(f32 => F32, f64 => F64, u8 => U8, i32 => I32, u32 => U32, i64 => I64, u64 => U64);

impl NamedTensor {
    /// A tensor from its elements, row-major.
    ///
    /// # Panics
    /// If there are more or fewer elements than the shape says.
    #[track_caller]
    pub fn new<T: Element>(name: impl Into<String>, shape: &[usize], elements: &[T]) -> Self {
        let name = name.into();
        assert_eq!(shape.iter().product::<usize>(), elements.len(), "elements of {name}");
        Self {
            name,
            dtype: T::DTYPE,
            shape: shape.to_vec(),
            bytes: bytemuck::cast_slice(elements).to_vec(),
        }
    }

    /// The elements.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Shape`] if they are of another type.
    pub fn elements<T: Element>(&self) -> Result<Vec<T>> {
        if self.dtype == T::DTYPE {
            let elements = self.bytes.chunks_exact(size_of::<T>());
            Ok(elements.map(bytemuck::pod_read_unaligned).collect())
        } else {
            let (name, found, expected) = (&self.name, self.dtype, T::DTYPE);
            Err(Error::shape(format!("tensor {name} is {found}, expected {expected}")))
        }
    }
}

/// The contents of a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorSet {
    /// The tensors; names are unique.
    pub tensors: Vec<NamedTensor>,
    /// The text beside them, as the model's configuration in JSON under `config`.
    pub metadata: BTreeMap<String, String>,
}

impl TensorSet {
    /// The tensor of this name.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Shape`] if there is none.
    pub fn get(&self, name: &str) -> Result<&NamedTensor> {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        found.ok_or_else(|| Error::shape(format!("tensor {name} is missing")))
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it is missing, truncated or otherwise not a safetensors file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
        let damaged = |e| Error::io(path, format!("truncated or not a safetensors file: {e}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let metadata = header.metadata().iter().flatten();
        let metadata = metadata.map(|(key, text)| (key.clone(), text.clone())).collect();
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let tensors = file.iter().map(|(name, view)| NamedTensor {
            name: name.to_owned(),
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        });
        Ok(Self {
            tensors: tensors.collect(),
            metadata,
        })
    }

    /// Writes a safetensors file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let metadata: HashMap<String, String> = self.metadata.clone().into_iter().collect();
        let metadata = (!metadata.is_empty()).then_some(metadata);
        let tensors = self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let bytes = safetensors::serialize(tensors, metadata).map_err(|e| Error::io(path, e))?;
        files::replace(path, |file| file.write_all(&bytes))
    }
}

impl View for &NamedTensor {
    fn dtype(&self) -> Dtype {
        self.dtype
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
